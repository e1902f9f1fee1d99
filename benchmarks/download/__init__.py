"""How fast a snapshot comes to Tier 2, and in how much memory."""
