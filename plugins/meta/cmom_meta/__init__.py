"""The plugin `cloudify-meta-manager`: many clusters of Tier 1 managers at a glance."""
