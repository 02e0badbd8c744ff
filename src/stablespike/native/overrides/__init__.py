"""Lines of neurons, by hand."""
