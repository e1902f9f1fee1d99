"""How fast resources are made."""
