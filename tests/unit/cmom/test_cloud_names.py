"""Names and marks of what is made in a cloud."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmom.services.cloud import installation_mark, server_name

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")


@pytest.mark.parametrize(
    ("deployment_id", "instance_id", "name"),
    [
        ("tier1", "address_x7k2qp", "tier1-x7k2qp"),
        ("Tier 1 (Haifa)", "address_x7k2qp", "tier-1-haifa-x7k2qp"),
        ("prod.eu_west", "address_x7k2qp", "prod-eu-west-x7k2qp"),
        ("___", "address_x7k2qp", "manager-x7k2qp"),
        ("a" * 100, "address_x7k2qp", "a" * 56 + "-x7k2qp"),
    ],
)
def test_a_server_is_named_after_deployment_and_instance(
    deployment_id: str, instance_id: str, name: str
) -> None:
    assert server_name(deployment_id, instance_id) == name


@given(st.text(max_size=80), st.from_regex(r"address_[a-z0-9]{6}\Z"))
def test_every_name_is_a_valid_host_name(deployment_id: str, instance_id: str) -> None:
    assert LABEL.fullmatch(server_name(deployment_id, instance_id))


def test_instances_of_one_deployment_have_names_of_their_own_however_long_its_id_is() -> None:
    assert server_name("a" * 300, "address_aaaaaa") != server_name("a" * 300, "address_bbbbbb")


def test_a_mark_is_one_installations_and_fits_what_it_is_written_into() -> None:
    mark = installation_mark("d" * 256, "infrastructure_abc123")

    assert len(mark) <= 255
    assert mark.endswith("infrastructure_abc123")
    assert mark != installation_mark("d" * 256, "infrastructure_abc124")
