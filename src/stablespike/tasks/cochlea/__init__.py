"""From sound to spikes."""
