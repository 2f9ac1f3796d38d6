"""The table for DREAM.3D, spreadsheets and pandas."""

from __future__ import annotations

import csv
from io import StringIO

import numpy as np
import pytest

from midas.results.exchange import feature_csv
from midas.results.exchange.crystal_frames import cell_vectors

from .sample import CRYSTALS, a_along_x, bunge, exported, grains, turned_by


def columns(content: bytes) -> dict[str, np.ndarray]:
    """Column by name, without the comment lines."""
    lines = [line for line in content.decode().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in lines[0].split(",")}


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_rows(crystal: str) -> None:
    some = grains(crystal)
    table = columns(feature_csv.files(exported(some))[".features.csv"])
    assert table["FeatureIds"].tolist() == [1, 2, 3, 4] and table["GrainIds"].tolist() == some.ids.tolist()
    np.testing.assert_allclose(np.column_stack([table[f"Centroids_{a}"] for a in "XYZ"]), some.positions, atol=1e-6)
    np.testing.assert_allclose(table["EquivalentDiameters"], 2 * some.radii)
    np.testing.assert_allclose(table["Volumes"], 4 / 3 * np.pi * some.radii**3)
    for row, u in enumerate(some.orientations):
        lattice = u @ cell_vectors(some.cell)
        angles = np.array([table[f"EulerAngles_{i}"][row] for i in range(3)])
        np.testing.assert_allclose(bunge(angles) @ a_along_x(some.cell), lattice, atol=1e-8)
        q = np.array([table[f"Quats_{name}"][row] for name in "WXYZ"])
        np.testing.assert_allclose(turned_by(q) @ a_along_x(some.cell), lattice, atol=1e-8)
        np.testing.assert_allclose(table["Strain_YZ"][row], some.strains[row, 1, 2])


def test_pandas_reads_it() -> None:
    pandas = pytest.importorskip("pandas")
    some = grains()
    table = pandas.read_csv(StringIO(feature_csv.files(exported(some))[".features.csv"].decode()), comment="#")
    np.testing.assert_array_equal(table["GrainIds"], some.ids)
    np.testing.assert_allclose(table["Centroids_Z"], some.positions[:, 2])


def test_no_grains() -> None:
    content = feature_csv.files(exported(grains(count=0)))[".features.csv"]
    assert content.decode().splitlines()[-1] == ",".join(feature_csv.NAMES)
