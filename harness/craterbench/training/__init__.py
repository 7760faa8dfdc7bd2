"""How a network learns; this runs in the child."""
