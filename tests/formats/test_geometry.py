"""The geometry in a consolidated file, and what in such a file is not read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.formats.geometry import read_geometry
from midas.formats.layer import Layer
from midas.runtime.errors import FormatError


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    folder = tmp_path / "own"
    folder.mkdir()
    layer = Layer(folder, folder / "x.MIDAS.zip")
    with h5py.File(layer.consolidated, "w") as file:
        file["geometry/names"] = ["Lsd", "Wedge"]
        file["geometry/covariance"] = np.diag([4.0, 9.0])
        file["geometry"].attrs["trust"] = "rings"
    return layer


def test_read_back(layer: Layer) -> None:
    found = read_geometry(layer)
    assert found is not None
    assert (found.names, found.trust, found.z0) == (("Lsd", "Wedge"), "rings", "-")
    assert found.of(("Wedge",)).covariance.tolist() == [[9.0]]


def test_none(tmp_path: Path) -> None:
    assert read_geometry(Layer(tmp_path, tmp_path / "x.MIDAS.zip")) is None


def test_values_in_files_elsewhere(layer: Layer, tmp_path: Path) -> None:
    with h5py.File(layer.consolidated, "r+") as file, h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = np.eye(2)
        layout = h5py.VirtualLayout((2, 2), "f8")
        layout[...] = h5py.VirtualSource(secret["x"])
        del file["geometry/covariance"]
        file.create_virtual_dataset("geometry/covariance", layout)
    with pytest.raises(FormatError, match=r"leads to .*secret.h5, which is not below the folder"):
        read_geometry(layer)
