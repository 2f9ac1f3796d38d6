"""From a raw archive to the grains with the legacy methods: what the legacy programs found, digit for digit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats.grains import GRAINS, SPOT_MATRIX, read_grains
from midas.pipeline.layers import FinishedLayer

#: solved exactly here (docs/theory/grains.md#strain-from-the-spacings)
STRAINS = [name for name in GRAINS.names if name.startswith("eKen")]


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", *(pytest.param(name, marks=pytest.mark.long) for name in ("ds1", "ds2"))])
def test_legacy_methods_give_the_legacy_grains(
    name: str, golden: Callable[[str], Path], legacy_chain: Callable[[str], FinishedLayer]
) -> None:
    layer = legacy_chain(name)
    assert layer.grains is not None and layer.spot_matrix is not None
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
