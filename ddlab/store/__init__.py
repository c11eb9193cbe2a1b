"""The results directory: every filename, what is in each file, and reading it back."""
