"""Workloads, controls and clocks of the benchmarks."""
