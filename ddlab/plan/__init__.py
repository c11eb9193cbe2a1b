"""From axes to trials, and from trials to packs: numbers only, no arrays."""
