"""A built Space in an environment of its own: install, start, ask for its pages, stop.

    python spaces/try.py FOLDER

As the platform does it: Gradio in the version of the header, and requirements.txt. The CPU wheels
of torch are left to the package index where download.pytorch.org cannot be reached.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

WHEELS = "https://download.pytorch.org/whl/cpu/"
UV = Path(sys.executable).with_name("uv")
PATIENCE = 300  # seconds until its methods are tested


def main(folder: Path) -> None:
    """Try it; what fails ends with a sentence."""
    header = (folder / "README.md").read_text("utf8")
    gradio = re.findall(r"^sdk_version: (\S+)$", header, re.MULTILINE)[0]
    python = re.findall(r'^python_version: "(\S+)"$', header, re.MULTILINE)[0]
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        _environment(place / "venv", python)
        inside = place / "venv" / "bin" / "python"
        version = subprocess.check_output([inside, "--version"], text=True).strip()
        wanted = place / "requirements.txt"
        wanted.write_text(_wanted(folder, version), "utf8")
        begin = time.monotonic()
        _install(inside, wanted, f"gradio=={gradio}")
        print(f"{version}, installed in {time.monotonic() - begin:.0f} s", flush=True)
        _started(folder, inside)


def _environment(place: Path, python: str) -> None:
    """An empty one, of the Space's Python where that is here."""
    if UV.exists() and not subprocess.run(
        [UV, "venv", "--quiet", "--no-python-downloads", "--python", python, place], check=False
    ).returncode:  # fmt: skip
        return
    subprocess.run([sys.executable, "-m", "venv", place], check=True)


def _wanted(folder: Path, version: str) -> str:
    """Its requirements, as far as they can be had here."""
    lines = (folder / "requirements.txt").read_text("utf8").splitlines()
    try:
        urllib.request.urlopen(WHEELS, timeout=10).close()
    except (OSError, urllib.error.URLError):
        print(f"{WHEELS} does not answer: torch comes from the package index")
        lines = [line for line in lines if not line.startswith("--")]
    if "3.12" not in version:  # pins are those of the Space's Python
        print(f"this is {version}, not the Space's Python: numpy is not pinned")
        lines = [line.partition("==")[0] if line.startswith("numpy") else line for line in lines]
    return "\n".join(lines)


def _install(python: Path, wanted: Path, *more: str) -> None:
    if UV.exists():
        command = [UV, "pip", "install", "--quiet", "--python", python]
        command += ["--index-strategy", "unsafe-best-match"]
    else:
        command = [python, "-m", "pip", "install", "--quiet"]
    environment = {**os.environ, "UV_SYSTEM_CERTS": "true"}
    subprocess.run([*command, "-r", wanted, *more], check=True, env=environment)


def _started(folder: Path, python: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    clean |= {"GRADIO_SERVER_PORT": port, "GRADIO_SERVER_NAME": "127.0.0.1", "FEATVIS_PUBLIC": "1"}
    clean |= {"GRADIO_ANALYTICS_ENABLED": "False"}
    address, begin = f"http://127.0.0.1:{port}", time.monotonic()
    with subprocess.Popen([python, "app.py"], cwd=folder, env=clean) as server:
        try:
            while (page := _page(f"{address}/")) is None:
                if server.poll() is not None or time.monotonic() - begin > PATIENCE:
                    raise SystemExit("the Space did not start")
                time.sleep(0.5)
            print(
                f"{address}/ after {time.monotonic() - begin:.1f} s: {len(page):,} bytes",
                flush=True,
            )
            while (told := json.loads(_page(f"{address}/healthz") or b"{}")).get("waiting") != []:
                if time.monotonic() - begin > PATIENCE:
                    raise SystemExit("its methods were not tested in time")
                time.sleep(0.5)
            tested = f"{told['status']}, {told['tested']} methods tested"
            print(f"/healthz after {time.monotonic() - begin:.1f} s: {tested}")
            if told["status"] != "ok":
                raise SystemExit(json.dumps(told["methods"], indent=1))
            if hold := float(os.environ.get("HOLD", "0")):  # to look at it
                time.sleep(hold)
        finally:
            server.terminate()
            server.wait(30)


def _page(address: str) -> bytes | None:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            made: bytes = answer.read()
            return made
    except OSError:
        return None


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
