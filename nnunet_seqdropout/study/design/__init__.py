"""Says what a study compares: its arms, seeds and endpoint, from a YAML file."""
