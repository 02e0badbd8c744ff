"""Gradient rules: the same values with another derivative or another memory."""
