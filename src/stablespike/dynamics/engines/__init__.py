"""Simulators: what happens, event by event, layer by layer, in windows, sparse."""
