"""Tier 2 without a manager: the real ``cfy`` in its local profile, kept in a folder of its own.

The demo and the scenario tests both need the same three things: a staged copy of the blueprint's own files
(``cfy`` copies the whole folder of a blueprint, and a checkout has much that does not belong there), a
configuration that resolves the imports a manager would resolve by itself, and an environment that touches
nothing outside the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent
STANDARD_TYPES = "http://www.getcloudify.org/spec/cloudify"
BLUEPRINT_FILES = ("*.yaml", "infra/*.yaml", "inputs/*.yaml")


@dataclass(frozen=True)
class LocalProfile:
    """A Tier 2 in a folder.

    Attributes:
        folder: All of it lies here: ``state`` (what ``cfy`` keeps), ``blueprint`` (the staged copy), ``tmp``.
        plugins: Further plugins by package name, each with the path of its plugin.yaml.
    """

    folder: Path
    plugins: Mapping[str, Path]

    @classmethod
    def create(cls, folder: Path, plugins: Mapping[str, Path] | None = None) -> LocalProfile:
        """Lay it out; what a former one left in the folder is kept, the staged files are renewed."""
        known = {
            "cmom": PROJECT / "plugins" / "cmom" / "plugin.yaml",
            "cloudify-meta-manager": PROJECT / "plugins" / "meta" / "plugin.yaml",
            **(plugins or {}),
        }
        profile = cls(folder.resolve(), known)
        for name in ("state", "tmp"):
            (profile.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        profile._stage_blueprint()
        profile._configure()
        return profile

    @property
    def blueprint_folder(self) -> Path:
        """Where the staged copy of the blueprints lies."""
        return self.folder / "blueprint"

    @property
    def storage(self) -> Path:
        """Where ``cfy`` keeps the deployments."""
        return self.folder / "state" / ".cloudify" / "profiles" / "local" / "deployments"

    def environment(self) -> dict[str, str]:
        """Return the environment that ``cfy`` runs in."""
        environment = dict(os.environ)
        environment["CFY_WORKDIR"] = str(self.folder / "state")
        environment["TMPDIR"] = str(self.folder / "tmp")
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
        # Importing cloudify on Python 3.11 warns about the cgi module at every start; users cannot mend it.
        environment["PYTHONWARNINGS"] = "ignore::DeprecationWarning"
        return environment

    def start(
        self, *arguments: str, stdout: int | IO[bytes] | None = None, verbose: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start ``cfy ARGUMENTS`` in a process group of its own, so that it can be killed whole."""
        words = [str(Path(sys.executable).parent / "cfy"), *arguments]
        if verbose:
            words.append(verbose)
        return subprocess.Popen(
            words,
            cwd=self.blueprint_folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str, timeout_seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run ``cfy ARGUMENTS`` to its end and return its output (both streams together)."""
        return subprocess.run(
            [str(Path(sys.executable).parent / "cfy"), *arguments],
            cwd=self.blueprint_folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def stop_between_writes(self, process_id: int, deployment_id: str) -> None:
        """Stop a process group when no file of a deployment is half-written.

        ``cfy`` writes its storage in place, and reads no file of which only half is there: who kills it must
        not do so just then, or no Tier 2 would recover.

        Raises:
            ProcessLookupError: There is no such group.
        """
        for _ in range(100):
            os.killpg(process_id, signal.SIGSTOP)
            if self._is_stored_whole(deployment_id):
                return
            os.killpg(process_id, signal.SIGCONT)
            time.sleep(0.002)

    def _is_stored_whole(self, deployment_id: str) -> bool:
        try:
            for path in (self.storage / deployment_id).rglob("*.json"):
                json.loads(path.read_text())
        except (ValueError, FileNotFoundError):
            return False
        return True

    def node_instances(self, deployment_id: str) -> list[dict[str, Any]]:
        """Read a deployment's node instances from the storage (only while nothing writes them)."""
        folder = self.storage / deployment_id / "node-instances"
        found: list[dict[str, Any]] = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        return found

    def runtime_properties(self, deployment_id: str, node_id: str) -> list[dict[str, Any]]:
        """Return the runtime properties of every instance of a node."""
        return [
            instance["runtime_properties"]
            for instance in self.node_instances(deployment_id)
            if instance["node_id"] == node_id
        ]

    def write_inputs(self, inputs: Mapping[str, Any], name: str = "inputs.yaml") -> Path:
        """Write an inputs file beside the blueprint, readable by its owner alone."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(dict(inputs)))
        return path

    def _stage_blueprint(self) -> None:
        staged = self.blueprint_folder
        shutil.rmtree(staged, ignore_errors=True)
        for pattern in BLUEPRINT_FILES:
            for source in sorted(PROJECT.glob(pattern)):
                target = staged / source.relative_to(PROJECT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def _configure(self) -> None:
        rules: Sequence[dict[str, str]] = [
            {STANDARD_TYPES: (PROJECT / "lab" / "spec" / "cloudify").as_uri()},
            *({f"plugin:{name}": path.as_uri()} for name, path in self.plugins.items()),
        ]
        resolver = "dsl_parser.import_resolver.default_import_resolver:DefaultImportResolver"
        settings = {
            "colors": False,
            "auto_generate_ids": False,
            "local_provider_context": {},
            "validate_definitions_version": True,
            "logging": {"filename": str(self.folder / "state" / "cli.log"), "loggers": {}},
            "import_resolver": {"implementation": resolver, "parameters": {"rules": list(rules)}},
        }
        config = self.folder / "state" / ".cloudify"
        config.mkdir(mode=0o700, parents=True, exist_ok=True)
        (config / "config.yaml").write_text(yaml.safe_dump(settings))
