"""The wire: a Tier 2 that is a manager, or the local profile of ``cfy``."""
