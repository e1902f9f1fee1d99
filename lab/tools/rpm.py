"""`rpm` and `yum` for packages in files; the database is the machine's.

Simulated: a payload is checked but not unpacked. Of `cloudify-manager-install` the parts that
matter are put in place, the configuration's outline and the command `cfy_manager`.
"""

from __future__ import annotations

import asyncio
import re

from lab import programs
from lab.packages import MANAGER_PACKAGE, Package
from lab.rpm_builder import config_yaml
from lab.rpm_file import payload_is_whole
from lab.tools.call import Tool, ToolCall
from lab.tools.rpm_options import Options, UsageError, parse
from lab.tools.rpm_query import open, query

CONFIG_PATH = "/etc/cloudify/config.yaml"


async def rpm(call: ToolCall) -> int:
    """Query, install and erase packages."""
    try:
        options = parse(call.args)
    except UsageError as error:
        call.err(str(error))
        return 1
    if options.mode == "version":
        call.out("RPM version 4.11.3\n")
        return 0
    if options.mode == "query":
        return await query(call, options)
    if options.mode == "check":
        return await _check(call, options)
    if options.mode in ("install", "upgrade", "freshen"):
        return await _install(call, options)
    if options.mode == "erase":
        return _erase(call, options)
    call.err("RPM version 4.11.3\nUsage: rpm [-afgpcdLlsiv?] [-q] [-i] [-U] [-e] ...")
    return 1


async def _check(call: ToolCall, options: Options) -> int:
    code = 0
    for word in options.words:
        one = await open(call, word)
        whole = one is not None and await asyncio.to_thread(
            payload_is_whole, call.machine.path(call.absolute(word)), one
        )
        if one is not None:
            call.out(f"{word}: sha1 {'md5 OK' if whole else 'MD5 NOT OK'}\n")
        code += 0 if whole else 1
    return code


async def _install(call: ToolCall, options: Options) -> int:
    if not options.words:
        call.err("rpm: no packages given for install")
        return 1
    packages = [(word, await open(call, word)) for word in options.words]
    if any(one is None for _, one in packages):
        return sum(1 for _, one in packages if one is None)
    if not call.privileged:
        call.err("error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Permission denied)")
        return 1
    for word, one in packages:
        assert one is not None
        refusal = _refusal(call, options, one.package)
        if refusal:
            call.err(refusal)
            return 1
        if "test" in options.flags:
            continue
        host = call.machine.path(call.absolute(word))
        if not await asyncio.to_thread(payload_is_whole, host, one):
            call.err("error: unpacking of archive failed: cpio: read")
            call.err(f"error: {one.package.nevra}: install failed")
            return 1
        _progress(call, options, one.package)
        put_in_place(call, one.package)
    return 0


def _refusal(call: ToolCall, options: Options, package: Package) -> str | None:
    installed = call.machine.rpm_database.get(package.name)
    if installed is None or {"force"} & options.flags:
        return None
    if installed.nevra == package.nevra:
        if "replacepkgs" in options.flags:
            return None
        return f"\tpackage {package.nevra} is already installed"
    if options.mode == "install":
        return (
            f"\tfile /usr/bin/cfy_manager from install of {package.nevra} conflicts with "
            f"file from package {installed.nevra}"
        )
    if _order(installed) > _order(package) and "oldpackage" not in options.flags:
        return f"\tpackage {installed.nevra} (which is newer than {package.nevra}) is already installed"
    return None


def _order(package: Package) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|[a-zA-Z]+", f"{package.version} {package.release}")
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def _progress(call: ToolCall, options: Options, package: Package) -> None:
    if "h" in options.flags:
        marks = "#" * 33 + " [100%]\n"
        call.out(f"{'Preparing...':<38}{marks}Updating / installing...\n")
        label = f"   1:{package.name}-{package.version}-{package.release}"
        call.out(f"{label[:38]:<38}{marks}")


def put_in_place(call: ToolCall, package: Package) -> None:
    """Install a package: into the database, and what it brings onto the disk."""
    machine = call.machine
    machine.rpm_database.add(package)
    if package.name != MANAGER_PACKAGE:
        return
    config = machine.path(CONFIG_PATH)
    config.parent.mkdir(parents=True, exist_ok=True)
    config.parent.chmod(0o755)
    outline = config_yaml(package.version)
    if config.exists() and config.read_text(encoding="utf-8", errors="replace") != outline:
        call.err(f"warning: {CONFIG_PATH} created as {CONFIG_PATH}.rpmnew")
        config = config.with_name(config.name + ".rpmnew")
    config.write_text(outline, encoding="utf-8")
    programs.add_tool(machine.disk, "cfy_manager")


def take_away(call: ToolCall, package: Package) -> None:
    """Erase a package."""
    machine = call.machine
    machine.rpm_database.remove(package.name)
    if package.name != MANAGER_PACKAGE:
        return
    programs.remove_tool(machine.disk, "cfy_manager")
    config = machine.path(CONFIG_PATH)
    if config.exists():
        if config.read_text(encoding="utf-8", errors="replace") == config_yaml(package.version):
            config.unlink()
        else:
            call.err(f"warning: {CONFIG_PATH} saved as {CONFIG_PATH}.rpmsave")
            config.replace(config.with_name(config.name + ".rpmsave"))
    if config.parent.is_dir() and not any(config.parent.iterdir()):
        config.parent.rmdir()


def _erase(call: ToolCall, options: Options) -> int:
    database = call.machine.rpm_database
    missing = [word for word in options.words if database.get(word) is None]
    for word in missing:
        call.err(f"error: package {word} is not installed")
    if missing or not options.words:
        return len(missing) or 1
    if not call.privileged:
        call.err("error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Permission denied)")
        return 1
    for word in options.words:
        package = database.get(word)
        if package is not None and "test" not in options.flags:
            take_away(call, package)
    return 0


async def yum(call: ToolCall) -> int:
    """`yum install -y FILE` and `yum remove -y NAME`; there are no repositories."""
    words = [arg for arg in call.args if not arg.startswith("-")]
    yes = any(arg in ("-y", "--assumeyes") for arg in call.args)
    if len(words) < 2 or words[0] not in ("install", "localinstall", "remove", "erase"):
        call.err("yum: the lab simulates `yum install -y FILE` and `yum remove -y NAME` only")
        return 1
    if not call.privileged:
        call.out("You need to be root to perform this command.\n")
        return 1
    verb, *names = words
    call.out("Loaded plugins: fastestmirror\n")
    if verb in ("remove", "erase"):
        return _yum_remove(call, names, yes)
    return await _yum_install(call, names, yes)


async def _yum_install(call: ToolCall, names: list[str], yes: bool) -> int:
    wanted = []
    for name in names:
        if not name.endswith(".rpm"):
            call.out(f"No package {name} available.\n")
            continue
        one = await open(call, name)
        if one is None:
            call.err(f"Cannot open: {name}. Skipping.")
            continue
        host = call.machine.path(call.absolute(name))
        if not await asyncio.to_thread(payload_is_whole, host, one):
            call.err(f"Cannot open: {name}. Skipping.")
            continue
        call.out(f"Examining {name}: {one.package.nevra}\n")
        if _refusal(call, Options("upgrade"), one.package):
            call.out(f"{name}: does not update installed package.\n")
            continue
        wanted.append(one.package)
    if not wanted:
        call.err("Error: Nothing to do")
        return 1
    if not yes:
        call.out("Is this ok [y/d/N]: Exiting on user command\n")
        return 1
    for package in wanted:
        put_in_place(call, package)
        call.out(f"\nInstalled:\n  {package.nevra}\n\nComplete!\n")
    return 0


def _yum_remove(call: ToolCall, names: list[str], yes: bool) -> int:
    packages = [call.machine.rpm_database.get(name) for name in names]
    for name, package in zip(names, packages, strict=True):
        if package is None:
            call.out(f"No Match for argument: {name}\n")
    found = [package for package in packages if package is not None]
    if not found:
        call.out("No Packages marked for removal\n")
        return 0
    if not yes:
        call.out("Is this ok [y/N]: Exiting on user command\n")
        return 1
    for package in found:
        take_away(call, package)
        call.out(f"\nRemoved:\n  {package.nevra}\n\nComplete!\n")
    return 0


TOOLS: dict[str, Tool] = {"rpm": rpm, "yum": yum}
