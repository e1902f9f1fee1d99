"""The workflows that plugin.yaml names: graphs of operations, nothing else."""
