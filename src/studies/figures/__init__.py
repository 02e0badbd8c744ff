"""What one study draws, from tables alone."""
