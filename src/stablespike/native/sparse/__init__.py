"""A sparse network spike by spike."""
