"""Passes of indexing that were interrupted go on, whatever was through (docs/theory/indexing.md#marks)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats import passes
from midas.formats.passes import SeedPass
from midas.formats.refined import read_refined
from midas.formats.spots import read_seed_ids
from midas.runtime import chunks
from midas.stages import indexing, refinement

from . import golden_seeds
from .indexed_layer import Made, contents

#: rows that are computed, in the order in which they are
Computed = list[int]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Computed:
    """Chunks of one row, each of which is counted."""
    monkeypatch.setattr(chunks, "_PER_THREAD", 1)
    monkeypatch.setattr(chunks, "_GROWTH", 1)
    found: Computed = []
    refine = refinement._refine_chunk

    def counted(refiner: object, work: object, chunk: slice, threads: int) -> object:
        found.append(chunk.start)
        return refine(refiner, work, chunk, threads)  # type: ignore[arg-type]

    monkeypatch.setattr(refinement, "_refine_chunk", counted)
    return found


class Layer:
    """Four seeds in three passes, and what one run of all of them leaves."""

    def __init__(self, folder: Path):
        self.made = Made(folder)
        self.made.run()
        self.whole, self.ids = contents(folder), self.made.ids
        self.passes = [SeedPass(2, 2, np.array(self.ids[2:3]), np.arange(1, 9), 0.5),
                       SeedPass(3, 3, np.array(self.ids[3:]), np.arange(1, 9), 0.5)]  # fmt: skip
        self.restart()

    def restart(self) -> None:
        """The seeds of the first pass alone, as the setup leaves them."""
        self.made.layer.spots_to_index.write_text("".join(f"{i}\n" for i in self.ids[:2]))
        self.made.layer.seed_passes.unlink(missing_ok=True)

    def run(self, count: int, **more: object) -> None:
        """So many passes."""
        self.made.run(**more)
        for last in self.passes[: count - 1]:
            self.made.run(seed_pass=last, **more)
            passes.commit(self.made.layer, last)


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return Layer(tmp_path)


@pytest.mark.parametrize("through", [1, 2, 3])
def test_the_passes_that_are_through_are_not_refined_again(layer: Layer, computed: Computed, through: int) -> None:
    layer.run(through)
    assert len(computed) == 1 + through
    layer.restart()
    computed.clear()
    layer.run(3, resume=True)
    passes.end(layer.made.layer)
    assert len(computed) == 3 - through
    assert contents(layer.made.folder) == layer.whole
    assert read_seed_ids(layer.made.layer.spots_to_index).tolist() == layer.ids
    assert not list(layer.made.folder.rglob("*.unfinished"))


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_row_that_was_interrupted(
    layer: Layer, computed: Computed, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        if len(computed) > number:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(refinement, "_log_rows", interrupted)  # the row is written
        layer.run(3)
    layer.restart()
    computed.clear()
    layer.run(3, resume=True)
    assert len(computed) == 3 - number
    assert contents(layer.made.folder) == layer.whole


def test_fewer_passes_than_before_leave_nothing_of_the_others(layer: Layer, computed: Computed) -> None:
    layer.run(1)
    once = contents(layer.made.folder)
    layer.run(3)
    layer.restart()
    for path in (layer.made.layer.index_best, layer.made.layer.index_best_full):
        path.write_bytes(path.read_bytes())  # its rows are cut off, too
    computed.clear()
    layer.run(1, resume=True)
    passes.end(layer.made.layer)
    assert not computed
    assert contents(layer.made.folder) == once
    assert len(read_refined(layer.made.layer, 2).key) == 2


def test_another_choice_of_seeds_is_another_pass(layer: Layer, computed: Computed) -> None:
    layer.run(2)
    layer.restart()
    computed.clear()
    layer.passes = [SeedPass(2, 2, np.array(layer.ids[2:]), np.arange(1, 9), 0.5)]
    layer.run(2, resume=True)
    assert len(computed) == 2
    assert contents(layer.made.folder) == layer.whole


@pytest.mark.golden
def test_indexed_passes_go_on(golden_copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_PER_THREAD", 2)
    monkeypatch.setattr(chunks, "_GROWTH", 1)
    layer = golden_seeds.prepared(golden_copy)
    ids, written = read_seed_ids(layer.spots_to_index), []
    last = SeedPass(2, 4, ids[4:8], np.arange(1, 200), golden_seeds.parameters(layer)["Completeness"])
    layer.spots_to_index.write_text("".join(f"{i}\n" for i in ids[:4]))

    def run(resume: bool = False) -> list[bytes]:
        parameters = golden_seeds.parameters(layer)
        indexing.run(layer, parameters, threads=1, resume=resume)
        indexing.run_again(layer, parameters, last, threads=1, resume=resume)
        return [path.read_bytes() for path in (layer.index_best, layer.index_best_full)]

    whole, put = run(), indexing.index.SlotWriter.write

    def counted(writer: object, seeds: object) -> None:
        written.append(seeds.rows)  # type: ignore[attr-defined]
        if len(written) == stop:
            raise KeyboardInterrupt
        put(writer, seeds)  # type: ignore[arg-type]

    monkeypatch.setattr(indexing.index.SlotWriter, "write", counted)
    for stop in (1, 2, 3, 4):
        written.clear()
        with pytest.raises(KeyboardInterrupt):
            run()
        written.clear()
        before, stop = stop, -1
        assert run(resume=True) == whole
        assert len(written) == 5 - before
        written.clear()
        assert run(resume=True) == whole
        assert not written
