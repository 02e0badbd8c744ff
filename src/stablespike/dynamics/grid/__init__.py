"""Cells, resets, connections and networks on a time grid."""
