"""What a search tries: what components declare, and what the user said of it."""
