"""A build by a Ray cluster: the same bytes as by one process, also when a worker dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.index import build, source_of
from tests import small

ROOT = Path(__file__).parent.parent


def test_two_workers_of_which_one_is_killed_give_the_bytes_of_one_process(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="ray is not installed: pip install 'featvis[scale]'")
    folder, pids = small.pictures(tmp_path / "pictures", 120), tmp_path / "pids"
    pids.mkdir()
    env = {
        **os.environ,
        "FEATVIS_INDEXES": str(tmp_path / "cluster"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.small", str(folder), str(pids)],
        cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list(pids.iterdir())) >= 3  # the two, and the one that took the dead one's place
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "alone"))
    alone = build(small.network(), source_of(f"folder:{folder}"), batch=4, shard=8)
    (cluster,) = (tmp_path / "cluster").iterdir()
    assert small.bytes_of(cluster) == small.bytes_of(alone)
