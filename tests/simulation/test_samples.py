"""The data sets of docs/theory/simulation.md#samples: numbers, files, and what the simulator makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas import simulation
from midas.experiment.orientation import (
    matrices_from_euler,
    misorientation,
    quaternions_from_matrices,
    symmetry_operators,
)
from midas.formats.simulated import GrainList, read_grain_list
from midas.parameters import Parameters
from midas.simulation import samples


def grains_of(path: Path) -> GrainList:
    return read_grain_list(path, matrices_from_euler)


@pytest.mark.parametrize(
    ("name", "count", "row", "position", "a"),
    [
        ("ds1", 100, (0.676892, -0.225057, -0.700832), (0.205546, 178.927378, 5.433042), 3.528251),
        ("ds2", 40, (0.418665, 0.766940, -0.486337), (37.790108, -212.929580, -2.184465), 2.953148),
        ("ds3", 25, (0.211299, 0.209600, 0.954684), (-198.912070, -36.967359, -14.077479), 4.755499),
        ("ds4n", 40, (0.238120, -0.674662, -0.698663), (-255.450595, 208.597472, 52.076871), 3.523209),
        ("ds5a", 216, (-0.439607, 0.895399, -0.070750), (132.379732, 12.748209, 98.281836), 3.526885),
    ],
)
def test_first_grain(tmp_path: Path, name: str, count: int, row, position, a: float) -> None:
    samples.write(name, tmp_path)
    grains = grains_of(tmp_path / samples.GRAINS_FILE)
    assert len(grains) == count
    assert tuple(grains.matrices[0, 0]) == row
    assert tuple(grains.positions[0]) == position
    assert grains.cells[0, 0] == a


@pytest.mark.golden
@pytest.mark.parametrize(("name", "source"), [("gold", "au3"), ("ds1", "ds1"), ("ds2", "ds2")])
def test_files_equal_those_of_the_legacy_runs(golden, tmp_path: Path, name: str, source: str) -> None:
    file = samples.write(name, tmp_path)
    own, theirs = (grains_of(folder / "GrainsSim.csv") for folder in (tmp_path, golden(source)))
    for field in ("matrices", "positions", "cells"):
        np.testing.assert_array_equal(getattr(own, field), getattr(theirs, field))
    mine, legacy = Parameters.read(file), Parameters.read(golden(source) / "Parameters.txt")
    different = {key for key in {*mine, *legacy} - {"OutFileName"} if mine.get(key) != legacy.get(key)}
    assert not different


@pytest.mark.parametrize(
    ("name", "spots", "brightest"),
    [
        ("ds1", 5770, 9608.6445),
        ("ds2", 1519, 9085.5488),
        ("ds3", 900, 7839.3384),
        ("ds4p", 1556, 9035.1211),
        ("ds4n", 1556, 9035.1211),
        ("ds5a", 6407, 52150.727),
    ],
)
def test_spots_and_largest_intensity(tmp_path: Path, name: str, spots: int, brightest: float) -> None:
    file = samples.write(name, tmp_path, LegacyDistortionMap=1, WedgeModel="legacy", WriteImage=0)
    result = simulation.run(file, threads=2, folder=tmp_path).data
    assert len(result.spots) == spots
    assert result.brightest == pytest.approx(brightest, abs=6e-4)


def test_mosaic_truth_is_the_middle_of_the_sub_grains(tmp_path: Path) -> None:
    samples.write("ds5a", tmp_path)
    truth, simulated = (grains_of(tmp_path / name) for name in (samples.TRUTH_FILE, samples.GRAINS_FILE))
    assert (len(truth), len(simulated)) == (24, 216)
    np.testing.assert_array_equal(simulated.matrices[4::9], truth.matrices)
    q = quaternions_from_matrices(truth.matrices)
    pairs = misorientation(q[16:20], q[20:24], symmetry_operators(225))
    np.testing.assert_allclose(pairs, 0.8, atol=1e-3)
    ends = quaternions_from_matrices(simulated.matrices)
    np.testing.assert_allclose(misorientation(ends[0::9], ends[8::9], symmetry_operators(225)), 0.96, atol=1e-3)


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_every_sample_can_be_read_by_both_dialects(tmp_path: Path, name: str) -> None:
    file = samples.write(name, tmp_path, Hbeam=123, tGap=None)
    for dialect in ("user", "simulation"):
        p = Parameters.read(file, dialect)
        assert not p.unknown
        assert len(p["OmegaRange"]) == len(p["BoxSize"])
        assert p["Hbeam"] == 123 and "tGap" not in p
    assert samples.SAMPLES[name].purpose
    assert len(grains_of(tmp_path / samples.SAMPLES[name].truth_file)) > 0
