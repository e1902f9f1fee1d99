"""The wire: one module per protocol. Nothing here knows Cloudify's ``ctx`` or what the product wants."""
