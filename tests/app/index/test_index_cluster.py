"""Ray: an index and a sweep by a cluster are those of one process, also when a worker dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.index import build, source_of
from benchmarks import zoo
from tests.support import small

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The folder in which one cluster of two workers made everything, and its outcome."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'featvis[scale]'")
    root = tmp_path_factory.mktemp("ray")
    folder, pids = small.pictures(root / "pictures", 120), root / "pids"
    for made in (pids, root / "swept", root / "alone swept"):
        made.mkdir()
    env = {
        **os.environ,
        "FEATVIS_INDEXES": str(root / "cluster"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.small", str(folder), str(pids)],
        cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return root, json.loads((root / "outcome.json").read_text())


def test_two_workers_of_which_one_is_killed_give_the_bytes_of_one_process(cluster, monkeypatch):
    root, outcome = cluster
    workers = {file.name for file in (root / "pids").iterdir()}
    assert len(workers) >= 3  # the two, and the dead one's substitute
    assert str(outcome["killed"]) in workers
    monkeypatch.setenv("FEATVIS_INDEXES", str(root / "alone"))
    source = source_of(f"folder:{root / 'pictures'}")
    alone = build(small.network(), source, batch=4, shard=8)
    (made,) = (root / "cluster").iterdir()
    assert small.bytes_of(made) == small.bytes_of(alone)


@pytest.mark.parametrize("stage", ["facts", "head"])
def test_a_sweep_by_workers_has_the_rows_of_one_process(cluster, stage):
    """All but the seconds that a row took; what is not there is a row that says so."""
    root, _ = cluster
    swept, alone = (zoo.rows(stage, root / name) for name in ("swept", "alone swept"))
    for row in (*swept.values(), *alone.values()):
        assert float(row.pop("seconds")) >= 0
    assert swept == alone
    assert sorted(swept) == sorted(small.SWEPT)
    assert [name for name, row in swept.items() if row["error"]] == ["torchvision:not_there"]
    if stage == "head":
        assert swept["torchvision:squeezenet1_1"]["head"] == "exact"


def test_a_call_whose_worker_dies_twice_is_given_up(cluster):
    _, outcome = cluster
    assert outcome["halves"] == [-2, 1, 3]
