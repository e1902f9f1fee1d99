"""Glue: Cloudify's context to the services, the plugin's errors to Cloudify's."""
