"""The disks of a server on OpenStack, input ``os_device_mapping``: checked before anything is made for it.

Fact: ``block_device_mapping_v2`` of nova's reference (create server); that nova takes numbers and true/false
as text, too.
"""

from __future__ import annotations

from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings, kind_of

DEVICE_MAPPING = "os_device_mapping"
_SOURCES = ("blank", "image", "snapshot", "volume")
_DESTINATIONS = ("local", "volume")
_KNOWN = (
    "boot_index",
    "delete_on_termination",
    "destination_type",
    "device_name",
    "device_type",
    "disk_bus",
    "guest_format",
    "no_device",
    "source_type",
    "tag",
    "uuid",
    "volume_size",
    "volume_type",
)
_EXAMPLE = '{boot_index: "0", uuid: IMAGE, source_type: image, destination_type: volume, volume_size: 30}'


def check_device_mapping(raw: object) -> None:
    """Check the list; nothing is as good as an empty one.

    Raises:
        InvalidInputs: All that is wrong with it.
    """
    findings = Findings()
    for place, entry in Fields({DEVICE_MAPPING: raw}, "", findings, (DEVICE_MAPPING,)).entries(
        DEVICE_MAPPING
    ):
        device = Fields(entry, place, findings, _KNOWN, example=_EXAMPLE)
        for name in _KNOWN:
            value = device.raw(name)
            if value is not None and not isinstance(value, str | int):
                device.fault(name, f"must be text, a whole number or true/false, not {kind_of(value)}")
        for name, words in (("source_type", _SOURCES), ("destination_type", _DESTINATIONS)):
            if device.given(name):
                device.choice(name, words, default="")
        source = device.raw("source_type")
        if source in _SOURCES[1:] and not device.given("uuid"):
            device.fault("uuid", f"missing: which {source} is meant")
    findings.raise_faults()
