"""A feed-forward layer: all spikes of a neuron in one pass over its inputs."""
