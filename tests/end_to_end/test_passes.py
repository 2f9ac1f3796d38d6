"""The driver's passes of indexing, and broken crystals, on tables of spots with known truth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crystal_sets.grains import Mosaic, scattered
from crystal_sets.scoring import Limits
from crystal_sets.sets import CrystalSet, Made

from midas.commands import run as cli
from midas.formats.grains import SPOT_MATRIX, read_grains
from midas.formats.layer import Layer
from midas.formats.passes import SEED_PASSES, partial_key
from midas.formats.resolved import GRAIN_QUALITY, SPOT_OWNERS, read_verdicts
from midas.formats.spots import read_seed_ids
from midas.runtime.errors import MidasError
from midas.stages.grains.resolve.verdicts import FRAGMENT

_SCAN = {"OmegaStart": -30, "OmegaEnd": 30, "OmegaRange": [(-30, 30)], "MinOmeSpotIDsToIndex": -30}
#: seeds in a tenth of the scan only: the first pass cannot find every grain
FEW_SEEDS = CrystalSet("12 grains", partial(scattered, 31, 12), values={**_SCAN, "MaxOmeSpotIDsToIndex": -24})
BROKEN = CrystalSet(
    "3 crystals of 5 pieces",
    partial(scattered, 32, 3, radius=200),
    values={"OmegaStart": -60, "OmegaEnd": 60, "OmegaRange": [(-60, 60)]},
    mosaic=Mosaic(33, 1.2, (5, 5)),
    limits=Limits(angle=1.0, distance=150.0, copy=4.0),
)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return FEW_SEEDS.make(tmp_path_factory.mktemp("few"))


#: files of a row a seed
ROWS = ("SpotsToIndex.csv", "IndexBest.bin", "IndexBestFull.bin", "Key.bin", "OrientPosFit.bin", "ProcessKey.bin",
        "FitBest.bin")  # fmt: skip


def files(layer: Layer) -> dict[str, bytes]:
    paths = (layer.spots_to_index, layer.index_best, layer.index_best_full, layer.key, layer.orient_pos_fit,
             layer.process_key, layer.fit_best, layer.grains, layer.spot_owners)  # fmt: skip
    return {path.name: path.read_bytes() for path in paths}


def test_a_pass_that_is_stopped_leaves_no_part(few: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(layer: Layer, _: object) -> None:
        assert partial_key(layer).exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("midas.formats.passes.commit", stopped)
        with pytest.raises(KeyboardInterrupt):
            few.run(IndexPasses=3, GrainMerging="spots")
    assert not list(few.folder.rglob("*.part"))


def test_a_second_pass_finds_what_the_seeds_of_the_first_do_not(few: Made) -> None:
    once = few.run(IndexPasses=1, GrainMerging="spots")
    alone, before = few.judge(once).found, files(once)
    assert 0 < alone < 12 and not once.seed_passes.exists()
    layer = few.run(IndexPasses=3, GrainMerging="spots", threads=2)
    found = few.judge(layer)
    assert (found.found, found.copies, found.ghosts) == (12, 0, 0)
    sizes = SEED_PASSES.read(layer.seed_passes).integers("seeds").tolist()
    seeds = read_seed_ids(layer.spots_to_index)
    assert len(seeds) == sum(sizes) == len(np.unique(seeds)) and 2 <= len(sizes) <= 3
    after = files(layer)
    for name in ROWS:
        assert after[name].startswith(before[name]) and len(after[name]) > len(before[name])
    # The logs tell of the passes; who asks for the grains of these rows gets the same
    assert (layer.logs / "indexing_pass2_out0.csv").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(layer.folder)
        assert cli.run("ff-grains", [few.archive.name]) == 0
        assert files(layer) == after
        # ... and who indexes again begins with the first pass
        assert cli.run("ff-index", ["paramstest.txt"]) == 0
    assert files(layer)["SpotsToIndex.csv"] == before["SpotsToIndex.csv"]
    assert files(layer)["IndexBestFull.bin"] == before["IndexBestFull.bin"] and not layer.seed_passes.exists()
    again = few.run(IndexPasses=3)
    assert files(again) == after


@pytest.mark.slow
def test_ranks_share_the_passes(few: Made, tmp_path: Path, run_command: Callable[..., Any]) -> None:
    """From a table of spots, which needs no frames. The first rank alone has the seeds in memory."""
    shutil.copy(few.run(IndexPasses=3, GrainMerging="spots").extra_info, tmp_path)
    arguments = ["-paramFN", few.parameter_file, "-provideInputAll", 1, "-resultFolder", tmp_path, "-nCPUs", 1]
    contents = []
    for ranks in (0, 2):
        result = run_command("ff-midas", *arguments, cwd=tmp_path, ranks=ranks)
        assert result.returncode == 0, result.stderr
        contents.append(files(Layer(tmp_path / "LayerNr_1")))
        assert (tmp_path / "LayerNr_1" / "SeedPasses.csv").exists()
    assert contents[0] == contents[1]


def test_the_legacy_rule_looks_once(few: Made) -> None:
    """It tells of no spot that no grain owns it."""
    layer = few.run(IndexPasses=3, GrainMerging="legacy")
    assert 0 < few.judge(layer).found < 12 and not layer.seed_passes.exists()


def test_a_broken_crystal_is_one_grain(tmp_path: Path) -> None:
    made = BROKEN.make(tmp_path)
    apart = made.analyse(GrainMerging="spots", IndexPasses=1)
    assert apart.found == 3 and apart.copies > 3
    layer = made.run(GrainMerging="mosaic")
    found = made.judge(layer)
    assert (found.found, found.copies, found.ghosts) == (3, 0, 0) and found.position[1] < 10.0
    grains, matrix = read_grains(layer.grains), SPOT_MATRIX.read(layer.spot_matrix)
    owners, quality = SPOT_OWNERS.read(layer.spot_owners), GRAIN_QUALITY.read(layer.grain_quality)
    verdicts = read_verdicts(layer.seed_verdicts)
    # Every fragment is listed once, under the grain that owns it
    assert len(np.unique(matrix["SpotID"])) == len(matrix) > 0.95 * (owners["RingNr"] > 0).sum()
    assert (owners["GrainID"][matrix.integers("SpotID") - 1] == matrix["GrainID"]).all()
    assert quality["GrainID"].tolist() == quality["FamilyID"].tolist() == grains["GrainID"].tolist()
    counts = [(matrix["GrainID"] == i).sum() for i in grains["GrainID"]]
    assert quality["nOwned"].tolist() == counts and (quality["nOwned"] > 2 * quality["nPredicted"]).all()
    assert (quality["SharpCompleteness"] > 0.95).all() and (quality["SharpCompleteness"] <= 1).all()
    assert (quality["Spread"] > 0.2).all() and (quality["Spread"] < 0.8).all()
    assert (quality["FWHM1"] >= quality["FWHM2"]).all() and (quality["FWHM2"] >= quality["FWHM3"]).all()
    assert (verdicts["Verdict"] == FRAGMENT).sum() >= apart.copies
    assert quality["nFragments"].sum() == (verdicts["Verdict"] == FRAGMENT).sum()


def test_a_gap_above_the_tolerance_is_refused(few: Made) -> None:
    layer = few.run(IndexPasses=3, GrainMerging="mosaic", MosaicTolerance=1.5)  # the default of the gap gives way
    found = few.judge(layer)
    assert (found.found, found.copies, found.ghosts) == (12, 0, 0)
    with pytest.raises(MidasError, match="MosaicGap.*must not be above MosaicTolerance, which is 1.5"):
        few.run(MosaicGap=1.7)
