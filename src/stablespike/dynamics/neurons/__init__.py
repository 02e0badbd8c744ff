"""Neurons, one file each."""
