"""Neurons, networks and exact event-based simulation."""
