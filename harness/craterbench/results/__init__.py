"""What a run leaves in the results folder, written and read here alone."""
