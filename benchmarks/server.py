"""A public server in a process of its own: its folders, its memory, and what its tripwire saw."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

__all__ = ["ROOT", "Server", "free_port", "serve", "start", "wait"]

ROOT = Path(__file__).parent.parent
TRIPWIRE = Path(__file__).parent / "tripwire"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
FONTS = Path.home() / ".cache" / "matplotlib"  # its list of fonts takes seconds to make
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Server(NamedTuple):
    """A running server; `folder` holds all that it writes."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        """All that it has written to its terminal."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def planted(self) -> Path:
        """The folder of files that nobody may read."""
        return self.folder / "planted"

    @property
    def writable(self) -> Path:
        """The folder for temporary files."""
        return self.folder / "tmp"

    def family(self) -> list[int]:
        """The numbers of its processes: its own, and those of its children."""
        return list(_family(self.process.pid))

    def memory(self, field: str = "VmRSS") -> float:
        """MB of its processes: VmRSS now, VmHWM at most so far."""
        return sum(_memory(number, field) for number in self.family())

    def processor(self) -> float:
        """Seconds that its processes have computed so far."""
        return sum(_processor(number) for number in self.family())

    def files(self) -> dict[Path, int]:
        """Its temporary files and their bytes."""
        sizes = {}
        for path in self.writable.rglob("*"):
            with suppress(OSError):
                if path.is_file():
                    sizes[path] = path.stat().st_size
        return sizes

    def arm(self) -> None:
        """Let the tripwire count from now on."""
        (self.folder / "tripwire.armed").touch()

    def violations(self) -> list[str]:
        """The files, addresses and programs that the tripwire reports."""
        report = self.folder / "tripwire"
        lines = report.read_text(errors="replace").splitlines() if report.exists() else []
        return list(dict.fromkeys(lines))

    def forget(self) -> None:
        """Forget the tripwire's report."""
        report = self.folder / "tripwire"
        if report.exists():
            os.truncate(report, 0)

    @property
    def number(self) -> int:
        """The process that serves, also where it is PID 1 of its own."""
        inner = [n for n in self.family() if _inner_number(n) == 1]
        return inner[0] if inner else self.process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.number, number)

    def end(self) -> None:
        """End it, at the latest after some seconds."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGTERM)
        try:
            self.process.wait(6)
        except subprocess.TimeoutExpired:
            family = self.family()
            for number in family:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            self.process.wait(10)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def start(
    folder: Path, port: int, root: Path = ROOT, *, alone: bool = False, **variables: str
) -> Server:
    """Start a server of the checkout `root` and do not wait for it; `alone`: as PID 1.

    Packages in `folder / "site"` can be imported by it.
    """
    for name in ("planted", "tmp", "site", "hub"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("tripwire", "tripwire.armed"):
        (folder / name).unlink(missing_ok=True)
    with (folder / "log").open("ab") as out:
        process = subprocess.Popen(
            _command_line(port, alone), cwd=root, stdout=out, stderr=out,
            env=_environment(folder, port, root) | variables,
        )  # fmt: skip
    return Server(f"http://127.0.0.1:{port}", process, folder)


def _command_line(port: int, alone: bool) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-m", "app", "serve", "--port", str(port)]
    return ["unshare", "--pid", "--fork", "--kill-child", *command] if alone else command


def _environment(folder: Path, port: int, root: Path) -> dict[str, str]:
    """Public, with folders of its own; a visitor is believed what address it has."""
    allowed = (root, Path(sys.prefix), Path(sys.base_prefix), TRIPWIRE, folder / "tmp",
               folder / "site", folder / "hub", FONTS)  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    return env | {
        "FEATVIS_PUBLIC": "1", "FEATVIS_TRUST_PROXY": "1", "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(folder / "tmp"), "GRADIO_TEMP_DIR": str(folder / "tmp" / "gradio"),
        "HOME": str(folder / "hub"), "XDG_CACHE_HOME": str(folder / "hub"),
        "MPLCONFIGDIR": str(FONTS),
        "HF_HOME": str(folder / "hub"), "TORCH_HOME": str(folder / "hub"),
        "PYTHONPATH": os.pathsep.join([str(TRIPWIRE), str(folder / "site")]),
        "TRIPWIRE_REPORT": str(folder / "tripwire"), "TRIPWIRE_PORT": str(port),
        "TRIPWIRE_PLANTED": str((folder / "planted").resolve()),
        "TRIPWIRE_ALLOWED": os.pathsep.join(str(path.resolve()) for path in allowed),
    }  # fmt: skip


@contextmanager
def serve(folder: Path, root: Path = ROOT, **variables: str) -> Iterator[Server]:
    """A server that answers; it ends with the block."""
    server = start(folder, free_port(), root, **variables)
    try:
        wait(server)
        yield server
    finally:
        server.end()


def wait(server: Server) -> None:
    """Wait until it answers."""
    for _ in range(600):
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended: {server.log[-500:]}")
        try:
            httpx.get(f"{server.url}/config", timeout=5).raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("the server does not answer")


def _family(number: int) -> Iterator[int]:
    yield number
    for path in Path(f"/proc/{number}/task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                yield from _family(int(child))


def _status(number: int) -> str:
    try:
        return Path(f"/proc/{number}/status").read_text()
    except OSError:  # it ended in between
        return ""


def _memory(number: int, field: str) -> float:
    return sum(int(text) for text in re.findall(rf"{field}:\s+(\d+) kB", _status(number))) / 1000


def _inner_number(number: int) -> int:
    """Its number in the innermost namespace."""
    numbers = re.findall(r"NSpid:(.*)", _status(number))
    return int(numbers[0].split()[-1]) if numbers else number


def _processor(number: int) -> float:
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
