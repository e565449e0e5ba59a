"""The source hf: streams a data set in the hub's format; here one that lies in a folder."""

from __future__ import annotations

import warnings

import pytest

from app.index import build, open_index, source_of
from featvis import WrongRequest
from tests.support import small

datasets = pytest.importorskip("datasets", reason="datasets is not installed: featvis[hub]")


@pytest.fixture
def stream(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    small.pictures(tmp_path / "pictures")
    return f"hf:{tmp_path / 'pictures'}"


def test_a_stream_gives_the_hits_of_its_files(stream, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about itself
        build(small.network(), source_of(stream), batch=4, shard=8)
        build(small.network(), source_of(f"folder:{tmp_path / 'pictures'}"), batch=4, shard=8)
        streamed, read = (open_index(small.network(), kind) for kind in (
            f"{stream}@train", f"folder:{tmp_path / 'pictures'}"))  # fmt: skip
        assert streamed.count == read.count == 40
        assert len(streamed.manifest.broken) == 2
        assert streamed.manifest.classes == ("class-0", "class-1", "class-2")
        for channel in range(6):
            one, other = (index.top("0", channel) for index in (streamed, read))
            assert [h.value for h in one] == pytest.approx([h.value for h in other], rel=1e-5)
            assert [h.position for h in one] == [h.position for h in other]
            assert streamed.label(one[0].image) == read.label(other[0].image)
            here, there = (
                index.picture(h[0].image) for index, h in ((streamed, one), (read, other))
            )
            assert here.tobytes() == there.tobytes()


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_that_is_not_there_is_refused(stream):
    with pytest.raises(WrongRequest, match="cannot be opened"):
        source_of("hf:/no/such/folder")
