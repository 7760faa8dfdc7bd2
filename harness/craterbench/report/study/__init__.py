"""What is seen of a search: on the terminal, while it goes and after it, and as a page."""
