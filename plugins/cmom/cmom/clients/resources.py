"""What a Tier 1 manager holds: tenants, secrets, plugins, blueprints, deployments. Both generations.

Only the wire is known here: what is asked, and how the two generations differ in it. Whether a thing should
be made, and what follows from that, is `cmom.services.resources`' knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmom.clients.dialects import has_blueprint_states
from cmom.clients.tenant_api import TenantApi, possible_secrets, quoted
from cmom.models import Secret

_CREATE_SECONDS = 360.0


@dataclass(frozen=True)
class Held:
    """A thing that a manager holds.

    Attributes:
        id: Its identifier; a secret's key.
        tenant: Where it lives; another tenant's when it is global.
        visibility: ``private``, ``tenant`` or ``global``.
    """

    id: str
    tenant: str
    visibility: str


@dataclass(frozen=True)
class HeldPlugin(Held):
    """A plugin; its name and version are what blueprints know it by.

    Attributes:
        archive_name: Of the wagon, which names its platform as well.
    """

    package_name: str = ""
    package_version: str = ""
    archive_name: str = ""


@dataclass(frozen=True)
class HeldBlueprint(Held):
    """A blueprint.

    Attributes:
        main_file_name: Inside its archive; empty while generation 5 has not unpacked it.
        state: ``uploading``, ``extracting``, ``parsing``, ``uploaded``, ``invalid``, ``failed_parsing``,
            ``failed_uploading``, ``failed_extracting``. Generation 4 has none; what is there is ``uploaded``.
        error: Why it is not.
    """

    main_file_name: str = ""
    state: str = "uploaded"
    error: str = ""


@dataclass(frozen=True)
class HeldDeployment(Held):
    """A deployment."""

    blueprint_id: str = ""


class ResourceApi(TenantApi):
    """The resources of one manager. All methods raise what `rest_errors` raises."""

    @property
    def _blueprint_fields(self) -> tuple[str, ...]:
        """What is asked of a blueprint; a manager refuses to be asked for what it does not know."""
        states = ("state", "error") if has_blueprint_states(self.version) else ()
        return ("id", "visibility", "tenant_name", "main_file_name", *states)

    def list_tenants(self) -> frozenset[str]:
        """List the names of all tenants."""
        return frozenset(
            str(item["name"]) for item in self.pages("", "tenants", "listing the tenants", ["name"])
        )

    def create_tenant(self, name: str) -> None:
        """Create a tenant."""
        self.ask("", lambda rest: rest.tenants.create(quoted(name)), f"creating tenant {name}")

    def list_secrets(self, tenant: str) -> dict[str, Held]:
        """List the secrets that a tenant sees, without their values."""
        fields = ["key", "visibility", "tenant_name"]
        items = self.pages(tenant, "secrets", f"listing the secrets of tenant {tenant}", fields)
        return {item["key"]: _held(item, item["key"]) for item in items}

    def get_secret_value(self, tenant: str, key: str) -> Secret:
        """Read a secret's value; empty when the manager hides it."""
        doing = f"reading secret {key}"
        answer = self.ask(tenant, lambda rest: rest.secrets.get(quoted(key)), doing)
        with self.reading(doing):
            return Secret(answer.get("value") or "")

    def put_secret(self, tenant: str, key: str, value: Secret, visibility: str, *, update: bool) -> None:
        """Create a secret, or give one that is there another value if `update`."""
        self.ask(
            tenant,
            lambda rest: rest.secrets.create(
                quoted(key), value.reveal(), update_if_exists=update, visibility=visibility
            ),
            f"{'updating' if update else 'creating'} secret {key}",
            secrets=(value,),
        )

    def list_plugins(self, tenant: str) -> tuple[HeldPlugin, ...]:
        """List the plugins that a tenant sees; there may be one of the same version for each platform."""
        fields = ["id", "package_name", "package_version", "archive_name", "visibility", "tenant_name"]
        items = self.pages(tenant, "plugins", f"listing the plugins of tenant {tenant}", fields)
        return tuple(
            HeldPlugin(
                **vars(_held(item, item["id"])),
                package_name=str(item.get("package_name") or ""),
                package_version=str(item.get("package_version") or ""),
                archive_name=str(item.get("archive_name") or ""),
            )
            for item in items
        )

    def list_blueprints(self, tenant: str) -> dict[str, HeldBlueprint]:
        """List the blueprints that a tenant sees."""
        doing = f"listing the blueprints of tenant {tenant}"
        items = self.pages(tenant, "blueprints", doing, self._blueprint_fields)
        return {item["id"]: _blueprint(item) for item in items}

    def get_blueprint(self, tenant: str, blueprint_id: str) -> HeldBlueprint:
        """Look at one blueprint."""
        doing = f"looking at blueprint {blueprint_id}"
        answer = self.ask(
            tenant,
            lambda rest: rest.blueprints.get(quoted(blueprint_id), _include=list(self._blueprint_fields)),
            doing,
        )
        with self.reading(doing):
            return _blueprint(answer)

    def list_deployments(self, tenant: str) -> dict[str, HeldDeployment]:
        """List the deployments that a tenant sees."""
        fields = ["id", "visibility", "tenant_name", "blueprint_id"]
        items = self.pages(tenant, "deployments", f"listing the deployments of tenant {tenant}", fields)
        return {
            item["id"]: HeldDeployment(
                **vars(_held(item, item["id"])), blueprint_id=str(item.get("blueprint_id") or "")
            )
            for item in items
        }

    def get_deployment_inputs(self, tenant: str, deployment_id: str) -> Mapping[str, Any]:
        """Read what a deployment was given as inputs, defaults included. They may be secret."""
        answer = self.ask(
            tenant,
            lambda rest: rest.deployments.get(quoted(deployment_id), _include=["id", "inputs"]),
            f"looking at deployment {deployment_id}",
        )
        inputs = answer.get("inputs")
        return inputs if isinstance(inputs, Mapping) else {}

    def create_deployment(
        self, tenant: str, deployment_id: str, blueprint_id: str, inputs: Mapping[str, Any], visibility: str
    ) -> None:
        """Create a deployment; until 6.0 the manager goes on with its environment by itself."""
        self.ask(
            tenant,
            lambda rest: rest.deployments.create(
                blueprint_id, quoted(deployment_id), inputs=dict(inputs), visibility=visibility
            ),
            f"creating deployment {deployment_id}",
            total_seconds=_CREATE_SECONDS,
            secrets=possible_secrets(inputs),
        )

    def set_visibility(self, kind: str, tenant: str, resource_id: str, visibility: str) -> None:
        """Make something visible to more.

        Args:
            kind: ``secrets``, ``plugins``, ``blueprints`` or ``deployments``.
        """
        self.ask(
            tenant,
            lambda rest: getattr(rest, kind).set_visibility(quoted(resource_id), visibility),
            f"making {kind[:-1]} {resource_id} visible as {visibility}",
        )


def _held(item: Mapping[str, Any], identifier: object) -> Held:
    return Held(str(identifier), str(item.get("tenant_name") or ""), str(item.get("visibility") or "tenant"))


def _blueprint(item: Mapping[str, Any]) -> HeldBlueprint:
    return HeldBlueprint(
        **vars(_held(item, item["id"])),
        main_file_name=str(item.get("main_file_name") or ""),
        state=str(item.get("state") or "uploaded"),
        error=str(item.get("error") or ""),
    )
