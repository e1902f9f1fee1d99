"""What `cfy_manager` of generation 5 ends with; it prints the name of the class and the message."""

from __future__ import annotations


class BootstrapError(Exception):
    """A run cannot go on."""


class InputError(BootstrapError):
    """The configuration cannot be read."""


class ValidationError(BootstrapError):
    """The configuration is refused."""


class ProcessExecutionError(BootstrapError):
    """A program that the installer runs has failed."""

    @classmethod
    def of(cls, command: list[str], words: str) -> ProcessExecutionError:
        """A failure as the installer words it: the command, and what it wrote to its standard error."""
        return cls(f"Failed running command: {command} ({words}).")


class ClusteringError(BootstrapError):
    """A node could not join its cluster."""


class DBNodeListError(Exception):
    """The members of the database cluster cannot be listed."""


class DBManagementError(Exception):
    """A change of the database cluster is refused."""
