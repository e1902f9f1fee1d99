"""`curl` on a machine: a real HTTP request from the lab, with curl's exit codes.

The codes are those of its manual page, the messages those of curl 7.29.
"""

from __future__ import annotations

import asyncio

from lab.tools.call import Tool, ToolCall
from lab.tools.curl_options import CurlOptions, UsageError, parse, parse_config
from lab.tools.curl_transfer import (
    CurlError,
    Limits,
    Outcome,
    fetch,
)

_TRANSIENT_STATUS = (408, 500, 502, 503, 504)


async def curl(call: ToolCall) -> int:
    """Fetch URLs to standard output or into files of the machine."""
    if call.args[:1] in (("--version",), ("-V",)):
        call.out("curl 7.29.0 (x86_64-redhat-linux-gnu)\n")
        return 0
    try:
        options = parse(call.args)
        for file in options.config_files:
            parse_config(await _config_text(call, file), options)
        limits = Limits.of(options)
    except UsageError as error:
        call.err(f"{error}\ncurl: try 'curl --help' or 'curl --manual' for more information")
        return 2
    if not options.urls:
        call.err("curl: no URL specified!")
        call.err("curl: try 'curl --help' or 'curl --manual' for more information")
        return 2
    code = 0
    for position, url in enumerate(options.urls):
        target = options.outputs[position] if position < len(options.outputs) else ""
        code = await _fetch_with_retries(call, options, limits, url, target)
    return code


async def _config_text(call: ToolCall, file: str) -> str:
    if file == "-":
        return (await call.io.stdin.read_all()).decode()
    path = call.machine.disk_map.place(call.absolute(file))
    readable = call.privileged or call.machine.access.may_read(path.inside)
    if not readable or not path.host.is_file():
        raise UsageError(f"curl: error trying read config from the '{file}' file")
    return path.host.read_text(encoding="utf-8")


async def _fetch_with_retries(
    call: ToolCall, options: CurlOptions, limits: Limits, url: str, target: str | None
) -> int:
    wait_seconds = limits.delay_seconds or 1.0
    for attempt in range(limits.retries + 1):
        outcome = Outcome(url=url)
        error: CurlError | None = None
        try:
            await asyncio.wait_for(fetch(call, options, limits, url, target, outcome), limits.total_seconds)
        except CurlError as failure:
            error = failure
        except asyncio.TimeoutError:
            milliseconds = int((limits.total_seconds or 0) * 1000)
            error = CurlError(
                28,
                f"Operation timed out after {milliseconds} milliseconds with "
                f"{outcome.received_bytes} bytes received",
            )
        transient = outcome.status in _TRANSIENT_STATUS or (error is not None and error.code == 28)
        if not transient or attempt == limits.retries:
            break
        if "silent" not in options.flags:
            call.err(
                f"Warning: Transient problem: will retry in {wait_seconds:.0f} seconds. "
                f"{limits.retries - attempt} retries left."
            )
        await call.machine.clock.sleep(wait_seconds)
        wait_seconds = limits.delay_seconds or wait_seconds * 2
    if error is not None and not ("silent" in options.flags and "show-error" not in options.flags):
        call.err(f"curl: ({error.code}) {error}")
    if "write-out" in options.values:
        call.out(_write_out(options.values["write-out"], outcome))
    return error.code if error is not None else 0


def _write_out(pattern: str, outcome: Outcome) -> str:
    names = {
        "http_code": f"{outcome.status:03}",
        "response_code": f"{outcome.status:03}",
        "size_download": str(outcome.received_bytes),
        "url_effective": outcome.url,
        "content_type": outcome.content_type,
    }
    text = pattern.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
    for name, value in names.items():
        text = text.replace("%{" + name + "}", value)
    return text.replace("%%", "%")


TOOLS: dict[str, Tool] = {"curl": curl}
