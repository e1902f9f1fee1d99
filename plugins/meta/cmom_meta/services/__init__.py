"""What the plugin knows: running a workflow on many deployments, and telling what came of it."""
