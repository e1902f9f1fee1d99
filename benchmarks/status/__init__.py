"""How long the status of a cluster takes when a member is black-holed."""
