"""The monitor, with ten thousand members; and how soon after a death a heal begins."""
