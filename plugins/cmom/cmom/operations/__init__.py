"""Glue between plugin.yaml and the services: ``ctx`` in, services called, errors translated."""
