"""What the commands share, and one file a command."""
