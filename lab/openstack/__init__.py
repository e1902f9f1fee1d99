"""A stand-in for OpenStack and cloudify-openstack-plugin, so that blueprint.yaml runs without either.

Two halves, both simulated:

- `lab.openstack.cloud` and `lab.openstack.server` are the cloud: the calls of keystone, nova, neutron and
  glance that are needed here, over HTTP on a loopback address, with their refusals. Its servers are
  machines of the lab.
- `lab.openstack.plugin` is the plugin: a plugin.yaml and operations with the type, property,
  relationship, operation and runtime property names of cloudify-openstack-plugin 3.3, as far as the
  blueprint uses them, and with its refusals. It takes the real plugin's place in the local profile.

Nothing in it comes from either of the two; it was written from their documented and observed behaviour.
"""
