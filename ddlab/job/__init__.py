"""What a pack that runs reports and obeys: the store, the terminal, signals."""
