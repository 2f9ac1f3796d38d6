"""A later pass of indexing: its rows stand behind the others (docs/theory/indexing.md#passes)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats import passes
from midas.formats.index import BEST, FULL_BYTES
from midas.formats.layer import Layer
from midas.formats.passes import SEED_PASSES, SeedPass
from midas.formats.refined import joined_seeds, read_refined
from midas.formats.spots import read_seed_ids
from midas.runtime.errors import FormatError
from midas.runtime.files import remove
from midas.runtime.parallel import SERIAL, Communicator
from midas.stages import indexing

from . import golden_seeds
from .indexed_layer import Made, contents


class Rank(Communicator):
    """One of several that run one after the other, the first one first; for each wait there is somebody to be there."""

    connected = True


def third(size: int) -> SeedPass:
    """The seeds behind the first two of a layer with four."""
    return SeedPass(2, 2, np.arange(3, size + 1), np.arange(1, size + 1), 0.0)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.fixture
def half(made: Made) -> tuple[Made, SeedPass, list[bytes | None]]:
    """A layer with two of its four seeds, the pass of the other two, and the results of all at once."""
    made.run()
    whole = contents(made.folder)
    last = SeedPass(2, 2, np.array(made.ids[2:]), np.arange(1, len(made.spots) + 1), 0.0)
    made.layer.spots_to_index.write_text("".join(f"{i}\n" for i in made.ids[:2]))
    made.run()
    return made, last, whole


# ---------------------------------------------------------------- refinement


def test_two_passes_refine_what_one_does(half: tuple[Made, SeedPass, list[bytes | None]]) -> None:
    made, last, whole = half
    first = made.run().data
    second = made.run(seed_pass=last).data
    both, read = joined_seeds([first, second]), None
    assert made.layer.key.stat().st_size == 16 and read_refined(made.layer, 2).key.tolist() == first.key.tolist()
    passes.commit(made.layer, last)
    assert contents(made.folder) == whole
    read = read_refined(made.layer, 4)
    assert (read.key == both.key).all() and (read.orient_pos_fit == both.orient_pos_fit).all()
    assert (read.spot_ids == both.spot_ids).all() and (read.offsets == both.offsets).all()
    assert read_seed_ids(made.layer.spots_to_index).tolist() == made.ids
    assert SEED_PASSES.read(made.layer.seed_passes).integers("seeds").tolist() == [2, 2]
    assert not passes.partial_key(made.layer).exists()


def test_ranks_share_a_pass(half: tuple[Made, SeedPass, list[bytes | None]]) -> None:
    made, last, whole = half
    for rank in range(3):
        assert len(made.run(seed_pass=last, comm=Rank(rank, 3)).data.key) == (1, 1, 0)[rank]
    passes.commit(made.layer, last)
    assert contents(made.folder) == whole


def test_a_pass_that_fails_or_is_stopped_leaves_the_first(
    half: tuple[Made, SeedPass, list[bytes | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, last, whole = half
    before = contents(made.folder)
    for name in ("_refine_chunk", "_log_rows"):  # before anything is written, and behind it
        with monkeypatch.context() as patch:
            patch.setattr(f"midas.stages.refinement.{name}", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                made.run(seed_pass=last)
        assert made.layer.key.read_bytes() == before[0]
        assert (contents(made.folder) == before) == (name == "_refine_chunk")
        assert passes.partial_key(made.layer).exists() == (name == "_log_rows")
    passes.abandon_append(made.layer, 2)
    assert contents(made.folder) == before and not passes.partial_key(made.layer).exists()
    # Stopped before the seeds are among the others: rows that nobody counts, which the next try replaces.
    made.run(seed_pass=last)
    assert read_refined(made.layer, 2).key.tolist() == np.frombuffer(before[0], "<i4").reshape(-1, 2).tolist()
    one = SeedPass(2, 2, last.seeds[:1], last.visible, 0.0)
    made.run(seed_pass=one)
    passes.commit(made.layer, one)
    assert [len(c or b"") for c in contents(made.folder)] == [24, 3 * 216, *(len(c or b"") for c in _of_rows(whole, 3))]
    made.run(seed_pass=SeedPass(3, 3, last.seeds[1:], last.visible, 0.0))
    passes.commit(made.layer, SeedPass(3, 3, last.seeds[1:], last.visible, 0.0))
    assert contents(made.folder) == whole
    assert SEED_PASSES.read(made.layer.seed_passes).integers("seeds").tolist() == [2, 1, 1]


def _of_rows(whole: list[bytes | None], rows: int) -> list[bytes]:
    """Spot lists and fits of the first rows, up to the last spot of the last one."""
    counts = np.frombuffer(whole[0] or b"", "<i4").reshape(-1, 2)[rows - 1, 1]
    return [(content or b"")[: (rows - 1) * slot + counts * one] for content, slot, one in
            zip(whole[2:], (20000, 880000), (4, 176), strict=True)]  # fmt: skip


def test_who_refines_again_removes_what_a_stopped_pass_left(made: Made) -> None:
    made.run()
    passes.begin_append(made.layer, range(4, 6), 7)
    assert passes.partial_key(made.layer).exists()
    made.run()
    assert not passes.partial_key(made.layer).exists()


def test_a_pass_needs_the_results_of_the_one_before(made: Made) -> None:
    made.run(seed_count=3)
    with pytest.raises(FormatError, match=r"Key\.bin.*24 bytes where 2 seeds need 16"):
        made.run(seed_pass=third(4))


# ---------------------------------------------------------------- indexing


@pytest.mark.golden
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_pass_searches_its_seeds_among_the_spots_that_it_sees(golden_copy: Callable[..., Path], ranks: int) -> None:
    layer = golden_seeds.prepared(golden_copy)
    ids = read_seed_ids(layer.spots_to_index)
    everything = golden_seeds.run(layer).data
    own = everything.ids[everything.spots(0)]
    hidden = np.setdiff1d(everything.ids, own)  # spots of the grains that the first seed does not belong to
    visible = np.setdiff1d(np.arange(1, 293), hidden)
    last = SeedPass(2, 4, ids[4:], visible, golden_seeds.parameters(layer)["Completeness"])
    # What a run on those spots alone finds
    alone = golden_seeds.prepared(golden_copy)
    golden_seeds.keep_spots(alone, lambda spots: np.isin(spots[:, 4], visible))
    expected = [content[4 * slot :] for content, slot in zip(_indexed(alone), (BEST.itemsize, FULL_BYTES), strict=True)]
    layer.spots_to_index.write_text("".join(f"{i}\n" for i in ids[:4]))
    first = _indexed(layer)
    for rank in range(ranks):
        comm = SERIAL if ranks == 1 else Rank(rank, ranks)
        data = indexing.run_again(layer, golden_seeds.parameters(layer), last, threads=2, comm=comm).data
        assert data.rows.start >= 4 and data.rows.stop <= len(ids)
        assert not np.isin(data.ids, hidden).any()
    for content, before, after in zip(golden_seeds.files(layer), first, expected, strict=True):
        assert content == before + after
    assert 0 < np.count_nonzero(np.frombuffer(expected[0]).reshape(-1, 15)[:, 14]) < len(ids) - 4
    passes.drop_indexed(layer, 4)
    assert golden_seeds.files(layer) == first


def _indexed(layer: Layer) -> tuple[bytes, bytes]:
    remove(layer.index_best, layer.index_best_full)
    golden_seeds.run(layer)
    return golden_seeds.files(layer)


@pytest.mark.golden
def test_who_indexes_again_begins_with_the_first_pass(golden_copy: Callable[..., Path]) -> None:
    layer = golden_seeds.prepared(golden_copy)
    lines = layer.spots_to_index.read_text()
    expected = _indexed(layer)
    layer.spots_to_index.write_text(f"{lines}7\n9\n")
    layer.seed_passes.write_text("%Pass Seeds\n1 18\n2 2\n")
    golden_seeds.run(layer)
    assert golden_seeds.files(layer) == expected
    assert layer.spots_to_index.read_text() == lines and not layer.seed_passes.exists()


@pytest.mark.parametrize(
    ("sizes", "seeds", "left"),
    [("1 2\n2 2\n", 4, 2), ("1 2\n2 2\n", 2, 2), ("1 2\n2 1\n3 5\n", 3, 2)],
    ids=["passes", "stopped in the second", "stopped in the third"],
)
def test_seeds_of_the_first_pass(tmp_path: Path, sizes: str, seeds: int, left: int) -> None:
    layer = Layer(tmp_path)
    text = "".join(f"{10 + i}\n" for i in range(seeds))
    layer.spots_to_index.write_text(text)
    passes.back_to_first(layer)
    assert layer.spots_to_index.read_text() == text
    layer.seed_passes.write_text(f"%Pass Seeds\n{sizes}")
    passes.back_to_first(layer)
    assert read_seed_ids(layer.spots_to_index).tolist() == list(range(10, 10 + left))
    assert not layer.seed_passes.exists()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ("1 x\n", ", line 2"),
        ("1 100\n2 1500\n", ": counts 1600 seeds, SpotsToIndex.csv has 4; run ff-setup again, or remove this file"),
        ("1 3\n2 2\n", ": counts 5 seeds"),
        ("", ": counts 0 seeds"),
        ("1 5\n2 -1\n", ", line 3: Seeds: -1: must be greater than 0; run ff-setup again"),
        ("1 0\n2 4\n", ", line 2: Seeds: 0: must be"),
        ("2 2\n1 2\n", ", line 2: Pass: 2: must be 1: the passes count from 1; run ff-setup again"),
        ("1 2\n3 2\n", ", line 3: Pass: 3: must be 2"),
    ],
)
def test_a_damaged_list_of_passes_is_named_and_cuts_nothing(sizes: str, message: str, tmp_path: Path) -> None:
    layer = Layer(tmp_path)
    layer.spots_to_index.write_text("1\n2\n3\n4\n")
    layer.seed_passes.write_text(f"%Pass Seeds\n{sizes}")
    with pytest.raises(FormatError, match=re.escape(f"SeedPasses.csv{message}")):
        passes.back_to_first(layer)
    assert layer.spots_to_index.read_text() == "1\n2\n3\n4\n" and layer.seed_passes.exists()
