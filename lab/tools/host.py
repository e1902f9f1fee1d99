"""Commands that tell who the machine is: `hostname`, `hostnamectl`, `ip`, `loginctl`."""

from __future__ import annotations

from lab.tools.call import Tool, ToolCall


async def hostname(call: ToolCall) -> int:
    """Print the name or the addresses; setting it needs root."""
    machine = call.machine
    if not call.args or call.args[0] in ("-f", "--fqdn", "--long"):
        call.out(f"{machine.hostname}\n")
    elif call.args[0] in ("-s", "--short"):
        call.out(f"{machine.hostname.split('.')[0]}\n")
    elif call.args[0] in ("-d", "--domain"):
        call.out(f"{machine.hostname.partition('.')[2]}\n")
    elif call.args[0] in ("-i", "--ip-address"):
        call.out(f"{machine.ip}\n")
    elif call.args[0] in ("-I", "--all-ip-addresses"):
        call.out(f"{machine.ip} \n")
    elif call.args[0].startswith("-"):
        call.err(f"hostname: invalid option -- '{call.args[0].lstrip('-')[:1]}'")
        return 4
    elif not call.privileged:
        call.err("hostname: you must be root to change the host name")
        return 1
    else:
        call.err("hostname: changing it is not simulated by the lab")
        return 1
    return 0


async def hostnamectl(call: ToolCall) -> int:
    """Print the name; `set-hostname` writes /etc/hostname and changes nothing else."""
    machine = call.machine
    words = [arg for arg in call.args if not arg.startswith("-")]
    if not words or words == ["status"]:
        call.out(f"   Static hostname: {machine.hostname}\n")
        call.out("    Virtualization: lab\n  Operating System: CentOS Linux 7 (Core)\n")
        return 0
    if words[0] != "set-hostname" or len(words) != 2:
        call.err(f"Unknown operation {words[0]}")
        return 1
    if not call.privileged:
        call.err("Could not set property: Interactive authentication required.")
        return 1
    machine.path("/etc/hostname").write_text(words[1] + "\n", encoding="utf-8")
    return 0


async def ip(call: ToolCall) -> int:
    """`ip addr`, enough to find the machine's private address."""
    words = [arg for arg in call.args if not arg.startswith("-")]
    if not words or not "address".startswith(words[0]):
        call.err("ip: only `ip address` is simulated by the lab")
        return 1
    call.out("2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP\n")
    call.out(f"    inet {call.machine.ip}/24 brd + scope global eth0\n")
    return 0


async def loginctl(call: ToolCall) -> int:
    """Sessions need no lingering here; nothing to do."""
    return 0


TOOLS: dict[str, Tool] = {
    "hostname": hostname,
    "hostnamectl": hostnamectl,
    "ip": ip,
    "loginctl": loginctl,
}
