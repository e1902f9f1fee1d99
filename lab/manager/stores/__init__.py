"""What a manager knows, whatever its generation: one module per kind of resource."""
