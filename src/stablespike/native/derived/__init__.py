"""Lines of a neuron's kernels, derived from its JAX class."""
