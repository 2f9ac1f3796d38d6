"""Grains by the ownership of spots from the records of the legacy programs (docs/theory/resolving.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats.grains import read_grains
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages import grains

FILES = (
    "Results", "Output", "InputAllExtraInfoFittingAll.csv", "IDsHash.csv", "SpotsToIndex.csv", "paramstest.txt",
    "hkls.csv", "Parameters.txt",
)  # fmt: skip


def positions(table: Table) -> np.ndarray:
    return np.stack([table[axis] for axis in "XYZ"], axis=1)


@pytest.mark.golden
@pytest.mark.parametrize(("name", "count"), [("au3", 3), ("ds1", 100), ("ds2", 40)])
def test_the_same_grains_as_by_the_legacy_rule(
    golden: Callable[[str], Path], golden_copy: Callable[..., Path], name: str, count: int
) -> None:
    folder = golden_copy(name, *FILES)
    with open(folder / "paramstest.txt", "a") as file:
        file.write("WedgeModel legacy\n")
    result = grains.run(Layer(folder), Parameters.read(folder / "Parameters.txt"), threads=1)
    found, legacy = result.data.grains, read_grains(golden(name) / "Grains.csv")
    distance = np.linalg.norm(positions(found)[:, None] - positions(legacy), axis=2)
    print(f"{name}: {len(found)} grains, largest distance {distance.min(axis=1).max():.1f} µm")
    assert len(found) == len(legacy) == count
    assert len(set(distance.argmin(axis=1))) == count
    assert distance.min(axis=1).max() < 10
    quality = result.data.grain_quality
    assert quality["Significance"].min() > 100 and quality["UniqueCompleteness"].min() > 0.5
