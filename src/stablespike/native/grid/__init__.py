"""A layer on a time grid."""
