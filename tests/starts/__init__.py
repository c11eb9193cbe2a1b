"""Where trials begin."""
