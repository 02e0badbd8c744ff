"""A recurrent network in windows of many spikes."""
