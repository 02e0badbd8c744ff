"""Native CPU kernels: loops written once, into which each neuron plugs a few lines that the compiler inlines."""
