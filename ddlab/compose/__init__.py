"""From YAML and overrides to the parts of a sweep."""
