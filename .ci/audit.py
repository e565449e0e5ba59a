"""Are there advisories about the pinned packages? `make audit` asks, by pip-audit.

Exit codes: 0 none, 1 some, 2 no source of advisories could be asked. pip-audit by itself ends with
0 where a source does not know a package, so what it has really looked up is counted here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
TOOL = "pip-audit==2.10.1"
FILES = ("requirements.txt", "requirements-dev.txt")
SOURCES = ("osv", "pypi")
OPTIONS = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "--timeout", "15",
           "--format", "json")  # fmt: skip
PATIENCE = 600  # seconds


class Verdict(NamedTuple):
    """The exit code, and the lines to print."""

    code: int
    lines: list[str]


def main() -> int:
    """Ask one source after another until one answers."""
    tool = command()
    for source in SOURCES:
        answer = ask(tool, source)
        if answer is not None:
            break
    result = verdict(answer, source)
    print("\n".join(result.lines))
    return result.code


def command() -> list[str]:
    """The tool in an environment of its own: by uv, or by pip where uv is missing."""
    uv = Path(sys.executable).parent / "uv"
    if uv.exists():
        return [str(uv), "tool", "run", "--quiet", "--system-certs", "--from", TOOL, "pip-audit"]
    folder = ROOT / "build" / "audit"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", TOOL], check=True)
    return [str(python), "-m", "pip_audit"]


def ask(tool: list[str], source: str) -> list[dict[str, Any]] | None:
    """The packages and their advisories as a source knows them; None where it does not answer."""
    files = [part for name in FILES for part in ("--requirement", str(ROOT / name))]
    try:
        process = subprocess.run([*tool, *OPTIONS, "--vulnerability-service", source, *files],
                                 capture_output=True, text=True, timeout=PATIENCE)  # fmt: skip
        packages: list[dict[str, Any]] = json.loads(process.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return packages if any("vulns" in package for package in packages) else None


def verdict(packages: list[dict[str, Any]] | None, source: str) -> Verdict:
    """One sentence, and a line for each advisory."""
    if packages is None:
        return Verdict(2, [f"no source of advisories can be reached ({', '.join(SOURCES)}), so "
                           "nothing is known of the pinned packages; try it where there is a "
                           "connection"])  # fmt: skip
    skipped = [package["name"] for package in packages if "vulns" not in package]
    found = [(package, advisory) for package in packages for advisory in package.get("vulns", ())]
    count = len(packages) - len(skipped)
    lines = [f"{count} packages looked up in {source}, {len(found)} advisories"]
    if skipped:
        lines += [f"not known there: {', '.join(skipped)}"]
    for package, advisory in found:
        fixed = ", ".join(advisory.get("fix_versions", ())) or "no version yet"
        lines += [f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}"]
    return Verdict(1 if found else 0, lines)


if __name__ == "__main__":
    sys.exit(main())
