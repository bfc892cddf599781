"""What a stage minimises, one file an objective."""
