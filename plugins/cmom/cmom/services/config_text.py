"""Text for the installer: plain data merged as it merges it, and written so that it reads it the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from cmom.models import Secret

# Text that every YAML reader takes for text, quoted or not, as long as PyYAML does.
_PLAIN_TEXT = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*\Z")


def deep_merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `overlay` over it: mappings are merged key by key, anything else is replaced.

    It is what the installer itself does with its defaults and config.yaml (`dict_merge` in its config.py).
    """
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = (
            deep_merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


class _Dumper(yaml.SafeDumper):
    """YAML that reads the same in 1.1 and 1.2, with the content of secrets, and without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write things out wherever they stand; an installer need not know anchors."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # The installer reads YAML 1.2, PyYAML writes 1.1: what is text to one may be a number to the other
    # (1e3, 0o17).
    content = text.reveal() if isinstance(text, Secret) else text
    style = None if _PLAIN_TEXT.match(content) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", content, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Secret, _represent_text)
_Dumper.add_multi_representer(str, _represent_text)


def to_yaml(content: Mapping[str, Any]) -> Secret:
    """Return plain data as YAML, keys sorted; a `Secret`, since that is what configuration holds."""
    text: str = yaml.dump(
        dict(content),
        Dumper=_Dumper,
        default_flow_style=False,
        sort_keys=True,
        width=10_000,
        allow_unicode=False,
    )
    return Secret(text)
