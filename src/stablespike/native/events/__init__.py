"""A recurrent network from event to event."""
