"""What is tried: a study of trials, and what comes of it."""
