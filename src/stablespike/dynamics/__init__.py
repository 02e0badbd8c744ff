"""Neurons, networks and exact event-based simulation."""

from stablespike.dynamics.compiler import require_right_sums

require_right_sums()
