"""Kernels for GPUs, from the neurons' lines that the kernels for processors have."""
