"""The one place where the plugin's version is written; setup.py reads it, a test compares plugin.yaml."""

from __future__ import annotations

__version__ = "0.1.0"
