"""From a raw archive to the grains with the legacy methods: what the legacy programs found, digit for digit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import midas
from midas.archive import set_datasets
from midas.formats.grains import GRAINS, SPOT_MATRIX, read_grains

ANALYSIS = "analysis/process/analysis_parameters/"
#: solved exactly here (docs/theory/grains.md#strain-from-the-spacings)
STRAINS = [name for name in GRAINS.names if name.startswith("eKen")]


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_legacy_methods_give_the_legacy_grains(name: str, golden: Callable[[str], Path], tmp_path: Path) -> None:
    archive = tmp_path / f"{name}.MIDAS.zip"
    shutil.copyfile(golden(name) / archive.name, archive)
    set_datasets(archive, {f"{ANALYSIS}RefineMethod": "staged", f"{ANALYSIS}LegacyHKLList": np.array([1])})
    layer = midas.run(data_file=archive, result_folder=tmp_path, convert=False, threads=2).data[0]
    ours, theirs = layer.grains, read_grains(golden(name) / "Grains.csv")

    for column in ("GrainID", "PhaseNr", "Confidence", "GrainRadius"):
        np.testing.assert_array_equal(ours[column], theirs[column])
    moved = np.linalg.norm([ours[c] - theirs[c] for c in "XYZ"], axis=0)
    turned = np.linalg.norm([ours[c] - theirs[c] for c in GRAINS.names[1:10]], axis=0) / np.sqrt(2)
    assert moved.max() < 2 and np.degrees(turned.max()) < 0.002
    for column in STRAINS:
        assert (np.abs(ours[column] - theirs[column]) <= 0.03 * theirs["RMSErrorStrain"] + 0.1).all(), column
    # Not all, because on another machine the last bit of a cosine can send a simplex elsewhere.
    digits = [c for c in GRAINS.names if c not in (*STRAINS, "RMSErrorStrain", "DiffPos")]
    equal = np.all([ours[c] == theirs[c] for c in digits], axis=0)
    assert equal.mean() > 0.75

    legacy_spots = SPOT_MATRIX.read(golden(name) / "SpotMatrix.csv")
    for column in (c for c in SPOT_MATRIX.names if c != "StrainError"):
        np.testing.assert_array_equal(layer.spot_matrix[column], legacy_spots[column])
