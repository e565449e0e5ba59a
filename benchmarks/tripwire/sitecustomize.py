"""The tripwire: an audit hook that Python installs before a server and its children begin.

`benchmarks/server.py` puts this folder on PYTHONPATH. Whatever the process opens outside of the
folders that it may read, whatever address it asks for and whatever program it starts becomes one
line of a report. Nothing counts before the server is armed: a start opens thousands of files. What
a library opens in C, without Python, stays unseen.
"""

from __future__ import annotations

import os
import sys
from typing import Any

REPORT = os.environ.get("TRIPWIRE_REPORT", "")
ALLOWED = tuple(filter(None, os.environ.get("TRIPWIRE_ALLOWED", "").split(os.pathsep)))
PLANTED = os.environ.get("TRIPWIRE_PLANTED", "")
OWN = os.environ.get("TRIPWIRE_PORT", "")  # the server may speak to itself
DEVICES = ("/dev/null", "/dev/urandom", "/dev/random")
ABOUT_ITSELF = ("statm", "status", "stat", "maps", "smaps_rollup", "cgroup", "limits", "mounts",
                "task", "fd")  # fmt: skip
PROGRAMS = ("fc-list", "lscpu")  # matplotlib and torch ask what this machine has
SYSTEM = (
    "/sys/", "/usr/share/", "/usr/lib/", "/lib/", "/etc/localtime", "/etc/mime.types",
    "/etc/ssl/", "/etc/nsswitch.conf", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat",
    "/proc/loadavg", "/proc/sys/", "/dev/shm/",
)  # fmt: skip


def _opens(path: Any) -> str:
    """A violation in words, or nothing."""
    if not isinstance(path, str | bytes | os.PathLike):
        return ""  # a descriptor that is open
    name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (links are kept)
    target = os.path.realpath(name)
    if PLANTED and (name.startswith(PLANTED) or target.startswith(PLANTED)):
        return f"open {name}"
    if name.startswith("/proc/") and name.split("/")[-1] in ABOUT_ITSELF:
        return ""
    allowed = (*ALLOWED, *SYSTEM, *DEVICES)
    return "" if target.startswith(allowed) or name in SYSTEM else f"open {name}"


def _connects(address: Any) -> str:
    if not isinstance(address, tuple):
        return ""  # a socket of this machine's files
    at_home = address[0] in ("127.0.0.1", "::1", "localhost") and str(address[1]) == OWN
    return "" if at_home else f"connect {address[0]}:{address[1]}"


def _asks(host: Any, port: Any = None) -> str:
    text = host.decode() if isinstance(host, bytes) else host
    at_home = text in (None, "", "127.0.0.1", "0.0.0.0", "::1", "localhost")
    return "" if at_home and str(port) in (OWN, "None", "0") else f"resolve {text}:{port}"


def _starts(program: Any, arguments: Any = ()) -> str:
    name = os.fsdecode(program or (arguments or ["?"])[0])
    known = name in PROGRAMS or os.path.realpath(name) == os.path.realpath(sys.executable)
    return "" if known else f"start {name}"


def _violation(event: str, arguments: tuple[Any, ...]) -> str:
    if event == "open":
        return _opens(arguments[0])
    if event == "socket.connect":
        return _connects(arguments[1])
    if event == "socket.getaddrinfo":
        return _asks(*arguments[:2])
    if event == "subprocess.Popen":
        return _starts(*arguments[:2])
    return f"start {arguments[0]}" if event in ("os.system", "os.exec") else ""


def _spring(report: int) -> None:
    armed = f"{REPORT}.armed"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        words = _violation(event, arguments)
        if words and os.path.exists(armed):  # noqa: PTH110 (in a hook: as little as may be)
            os.write(report, f"{words}\n".encode(errors="replace"))

    sys.addaudithook(hook)


if REPORT:
    _spring(os.open(REPORT, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
