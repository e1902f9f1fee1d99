"""What a Tier 1 cluster should hold, made true: read, compared, then changed."""
