"""What an installation costs beside the installer's own time."""
