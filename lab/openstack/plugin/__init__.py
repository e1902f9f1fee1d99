"""A stand-in for cloudify-openstack-plugin 3.3: what plugin.yaml beside this file maps to.

It exists so that blueprint.yaml runs in the local profile without that plugin and without an OpenStack.
Names and refusals are the plugin's, the code is not: it knows no more than what the blueprint uses.
"""
