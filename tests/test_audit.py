"""The check for advisories: what it says, and its exit code."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

FILE = Path(__file__).parent.parent / ".ci" / "audit.py"
SOUND = {"name": "torch", "version": "2.14.1", "vulns": []}
ILL = {"name": "pillow", "version": "1.0", "vulns": [{"id": "A-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "gradio", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([SOUND], 0, "1 packages looked up in osv, 0 advisories"),
        ([SOUND, ILL], 1, "pillow 1.0: A-1, mended in 1.1"),
        ([SOUND, UNKNOWN], 0, "not known there: gradio"),
        ([UNKNOWN], 2, "no source of advisories can be reached (osv, pypi)"),
        ([], 2, "no source of advisories can be reached"),
        (None, 2, "no source of advisories can be reached"),
    ],
)
def test_it_ends_with_a_sentence_and_a_code(audit, monkeypatch, capsys, packages, code, words):
    def run(command, **_):
        text = "not JSON" if packages is None else json.dumps({"dependencies": packages})
        return subprocess.CompletedProcess(command, 0, text, "")

    monkeypatch.setattr(audit.subprocess, "run", run)
    monkeypatch.setattr(audit, "command", lambda: ["pip-audit"])
    assert audit.main() == code
    assert words in capsys.readouterr().out
