"""A sample of several layers, from raw files of a detector to one list of grains.

See docs/theory/simulation.md#layers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats.matched import GRAIN_SET
from midas.results.matching.compare import spread, tensor_error
from midas.simulation.samples import FCC, Grains
from midas.simulation.stack import Stack, ds6

from .layered_scan import analyse, comparisons, write

Call = Callable[..., int]

#: what the legacy programs reach in any layer: position (µm), median and largest; lattice strain, rms
LEGACY_POSITION, LEGACY_FARTHEST, LEGACY_STRAIN = 1.0, 7.0, 137e-6


def stitched(folders: tuple[Path, ...], cwd: Path, in_process: Call, tolerance: float) -> int:
    """Grains after stitching, by the legacy program's command line."""
    line = ["stitch", "--layers", *folders, "--beam-thickness", 100, "--space-group", 225]
    assert in_process("match_grains.py", *line, "--position-tol", tolerance, cwd=cwd) == 0
    return len(GRAIN_SET.read(cwd / "StitchedGrains.csv"))


def test_a_grain_in_two_layers_is_one(tmp_path: Path, in_process: Call) -> None:
    """Three layers of six grains, of which the borders cut two."""
    grains = Grains(106, 6, FCC, 150, (-50, 250), 1e-3).draw()
    grains.positions[:, 2] = [0, 10, 50, 105, 140, 200]
    stack = Stack(grains, np.full(6, 40.0), 100.0, 3)
    seen = [stack.layer(number)[0].tolist() for number in range(3)]
    assert seen == [[0, 1, 2], [2, 3, 4], [4, 5]]
    scan = write(stack, tmp_path, NrPixels=256, px=800, BC=(128, 128), OmegaStep=1, MarginOme=1, GaussWidth=0.8)
    folders = analyse(scan, tmp_path / "results")
    for found in comparisons(scan, folders):
        assert found.recovered == found.true_count == found.found_count
    assert stitched(folders, tmp_path, in_process, 80) == 6
    assert stitched(folders, tmp_path, in_process, 1) == 8


@pytest.mark.long
def test_five_layers_of_forty_grains(tmp_path: Path, in_process: Call) -> None:
    """The data set DS6 in full: 17, 14, 11, 16 and 10 grains, none spurious; 40 when they are stitched."""
    scan = write(ds6(), tmp_path)
    folders = analyse(scan, tmp_path / "results")
    for number, found in enumerate(comparisons(scan, folders), 1):
        median, _, largest = spread(found.distance)
        strain = tensor_error(found.lattice_strain)[0]
        print(
            f"layer {number}: {found.recovered} grains, {median:.3f} µm, at most {largest:.2f}, {1e6 * strain:.1f}e-6"
        )
        assert found.recovered == found.true_count == (17, 14, 11, 16, 10)[number - 1]
        assert found.spurious == 0
        assert median < LEGACY_POSITION / 4
        assert largest < LEGACY_FARTHEST / 4
        assert strain < LEGACY_STRAIN / 4
    assert stitched(folders, tmp_path, in_process, 80) == 40
    assert stitched(folders, tmp_path, in_process, 50) == 41
