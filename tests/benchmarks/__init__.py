"""Speed as ratios in one run: ddlab against peers on the same machine. `make bench` runs them all."""
