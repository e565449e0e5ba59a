"""A public server in a process of its own: its folders, its memory, and what its tripwire saw."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

__all__ = ["ROOT", "Server", "free_port", "serve", "start", "wait"]

ROOT = Path(__file__).parent.parent
TRIPWIRE = Path(__file__).parent / "tripwire"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
KB = 1024  # bytes, as the system counts memory; the bounds of the tests are in 1,000 of them
FONTS = Path.home() / ".cache" / "matplotlib"  # its list of fonts takes seconds to make


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

    def family(self) -> list[psutil.Process]:
        """Its processes, its own first and then those of its children; none once it has ended."""
        try:
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> float:
        """MB of its processes."""
        return self._sum(lambda process: process.memory_info().rss / KB / 1000)

    def peak_memory(self) -> float:
        """MB of its processes, each at its most so far."""
        return self._sum(_peak)

    def processor(self) -> float:
        """Seconds that its processes have computed so far."""
        return self._sum(lambda process: sum(process.cpu_times()[:2]))

    def _sum(self, read: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in self.family():
            with suppress(psutil.NoSuchProcess, OSError):  # it ended in between
                total += read(process)
        return total

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
        """The process that serves: its own, or the first child of the program that isolates it."""
        family = self.family()
        isolated = len(family) > 1 and family[0].name() == "unshare"
        return int(family[1].pid) if isolated else self.process.pid

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
            for process in self.family():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
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


def _peak(process: psutil.Process) -> float:
    """MB that a process had at its most, which psutil does not say on Linux."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return sum(int(size) for size in re.findall(r"VmHWM:\s+(\d+) kB", text)) / 1000
