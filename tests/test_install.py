"""The checkout is installed as it stands: the command `featvis`, from any folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import featvis

ROOT = Path(__file__).parent.parent
COMMAND = Path(sys.executable).with_name("featvis")

pytestmark = pytest.mark.skipif(
    not COMMAND.exists() and Path(sys.prefix) != ROOT / ".venv",
    reason="an environment that make did not set up",
)


def test_the_command_runs_from_any_folder(tmp_path):
    output = subprocess.run([COMMAND, "--help"], cwd=tmp_path, check=True, capture_output=True)
    assert b"usage: featvis" in output.stdout
    assert not list(tmp_path.iterdir())


def test_the_package_in_the_folder_app_has_the_version_of_the_methods(tmp_path):
    code = "import featvis, featvis_app.cli as cli; print(featvis.__version__, cli.main.__module__)"
    output = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    assert output.split() == [featvis.__version__, "featvis_app.cli.commands"]
