"""Training a pack: many trials as one array program."""
