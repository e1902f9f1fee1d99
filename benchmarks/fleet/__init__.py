"""How long the status of a fleet takes; see README.md."""
