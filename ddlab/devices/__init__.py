"""The devices of this machine, and where the trials of a pack lie on them."""
