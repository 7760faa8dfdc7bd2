"""What a network is shown."""
