"""Seeds that the grain of another one explains are not searched: the same grains, for any threads, ranks, blocks."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from crystal_sets.grains import scattered
from crystal_sets.scoring import Score
from crystal_sets.sets import SETS, CrystalSet, Made
from tiny_scan import Call

from midas.formats.binary import read_records
from midas.formats.index import BEST
from midas.formats.layer import Layer
from midas.formats.resolved import GRAIN_QUALITY
from midas.parameters import Parameters
from midas.runtime.errors import FormatError
from midas.stages import indexing, refinement
from midas.stages.seed_search import LEAST_WAVE, in_wide_steps

GRAINS = 60
RESULTS = ("IndexBest.bin", "IndexBestFull.bin")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Layer, Score]:
    """A table of spots of sixty grains, and what the default makes of it."""
    one = CrystalSet("60 grains", partial(scattered, 201, GRAINS), values=SETS["low-spots"].values)
    made = one.make(tmp_path_factory.mktemp("grains"))
    layer = made.run()
    return made, layer, made.judge(layer)


@pytest.fixture
def layer(made: tuple[Made, Layer, Score], tmp_path: Path) -> Layer:
    """A copy of the layer, to index again."""
    shutil.copytree(made[1].folder, tmp_path / "LayerNr_1", symlinks=True)
    for name in RESULTS:
        (tmp_path / "LayerNr_1" / "Output" / name).unlink()
    return Layer(tmp_path / "LayerNr_1")


def parameters(layer: Layer, **changes: object) -> Parameters:
    return Parameters.read(layer.paramstest, "paramstest").changed(**changes)


def searched(layer: Layer) -> int:
    return int(np.count_nonzero(read_records(layer.index_best, BEST, ())["matched"]))


def same(one: Layer, other: Layer) -> None:
    for name in RESULTS:
        assert (one.output / name).read_bytes() == (other.output / name).read_bytes(), name


def test_the_same_grains_of_fewer_seeds(made: tuple[Made, Layer, Score], tmp_path: Path) -> None:
    one, layer, score = made
    assert (score.found, score.copies, score.ghosts) == (GRAINS, 0, 0)
    shutil.copytree(one.folder, tmp_path / "all")
    names = {"folder": tmp_path / "all", "parameter_file": tmp_path / "all" / one.parameter_file.name}
    everything = Made(one.what, archive=tmp_path / "all" / one.archive.name, spots=one.spots, **names)
    whole = everything.run(SkipExplainedSeeds=0)
    assert searched(layer) < 0.6 * searched(whole)
    every = everything.judge(whole)
    assert (every.found, every.copies, every.ghosts) == (GRAINS, 0, 0)
    np.testing.assert_allclose(score.position, every.position, rtol=0.01)
    # A seed that was left out counts for its grain.
    members = [np.sort(GRAIN_QUALITY.read(one.grain_quality)["nMembers"]) for one in (layer, whole)]
    assert np.abs(members[0] - members[1]).max() <= 2
    verdicts = [line.split()[2] for line in layer.seed_verdicts.read_text().splitlines()[1:]]
    assert verdicts.count("explained") > 0.4 * len(verdicts)


def test_crystals_of_one_orientation_are_kept(tmp_path: Path) -> None:
    """Their spots lie within each other's windows."""
    made = SETS["same"].make(tmp_path)
    assert SETS["same"].required["spots"].holds(made.analyse())


@pytest.mark.parametrize("threads", [1, 3])
def test_threads(threads: int, made: tuple[Made, Layer, Score], layer: Layer) -> None:
    indexing.run(layer, parameters(layer), threads=threads)
    same(layer, made[1])


def test_blocks(made: tuple[Made, Layer, Score], layer: Layer, in_process: Call) -> None:
    seeds = len(layer.spots_to_index.read_text().splitlines())
    for block in (1, 2, 0):
        assert in_process("IndexerOMP", "paramstest.txt", block, 3, seeds, 1, cwd=layer.folder) == 0
    same(layer, made[1])


@pytest.mark.mpi
def test_ranks(made: tuple[Made, Layer, Score], layer: Layer, run_command: Run) -> None:
    result = run_command("ff-index", "paramstest.txt", "--threads", 1, cwd=layer.folder, ranks=3)
    assert (result.returncode, result.stderr) == (0, "")
    same(layer, made[1])
    indexed = re.findall(r"(?m)^indexed +(\d+)$", result.stdout)
    assert indexed == [str(searched(layer))]


def test_a_run_goes_on(made: tuple[Made, Layer, Score], layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in its second wave, it searches only what it has not searched."""
    from midas.stages import seed_search

    count, real = [], seed_search.SeedSearch._found

    def found(self: seed_search.SeedSearch, seeds: np.ndarray) -> object:
        if sum(count) > LEAST_WAVE:
            raise KeyboardInterrupt
        count.append(len(seeds))
        return real(self, seeds)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(seed_search.SeedSearch, "_found", found)
        indexing.run(layer, parameters(layer), threads=1)
    before = sum(count)
    again: list[int] = []

    def counted(self: seed_search.SeedSearch, seeds: np.ndarray) -> object:
        again.append(len(seeds))
        return real(self, seeds)

    monkeypatch.setattr(seed_search.SeedSearch, "_found", counted)
    indexing.run(layer, parameters(layer), threads=1, resume=True)
    same(layer, made[1])
    assert before + sum(again) < 1.2 * searched(layer) + 5


def test_without_the_recorded_spots_every_seed_is_searched(layer: Layer, caplog: pytest.LogCaptureFixture) -> None:
    everything = parameters(layer, SkipExplainedSeeds=0)
    indexing.run(layer, everything, threads=2)
    whole = [(layer.output / name).read_bytes() for name in RESULTS]
    layer.extra_info_binary.unlink()
    indexing.run(layer, parameters(layer), threads=2)
    assert "ExtraInfo.bin is missing" in caplog.text
    assert [(layer.output / name).read_bytes() for name in RESULTS] == whole


def test_recorded_spots_of_another_run_are_named(layer: Layer) -> None:
    content = layer.extra_info_binary.read_bytes()
    layer.extra_info_binary.write_bytes(content[: len(content) // 2 // 128 * 128])
    with pytest.raises(FormatError, match=r"ExtraInfo\.bin"):
        indexing.run(layer, parameters(layer), threads=1)


def test_refinement_has_the_seeds_that_were_searched(layer: Layer) -> None:
    found = indexing.run(layer, parameters(layer), threads=2).data
    refined = refinement.run(layer, parameters(layer), threads=2).data
    assert np.array_equal(refined.key[:, 0] > 0, found.found)


def test_neighbours_are_far_apart() -> None:
    order = in_wide_steps(np.arange(1000))
    assert sorted(order) == list(range(1000))
    assert np.abs(np.diff(order)).min() > 100
    assert not len(in_wide_steps(np.empty(0, np.int64)))
