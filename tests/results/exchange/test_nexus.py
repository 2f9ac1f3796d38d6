"""``.nxs``: read back as a grain list, and as plain HDF5."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.results.exchange import nexus, read_grain_list
from midas.runtime.errors import FormatError

from .sample import CRYSTALS, exported, grains, turned_by


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("count", [0, 1, 4])
def test_read_back(tmp_path: Path, crystal: str, count: int) -> None:
    some = grains(crystal, count)
    (tmp_path / "a").write_bytes(nexus.files(exported(some))[".nxs"])
    back = read_grain_list(tmp_path / "a")
    for name in ("ids", "positions", "cells", "radii", "completeness", "strains"):
        np.testing.assert_array_equal(getattr(back, name), getattr(some, name))
    np.testing.assert_allclose(back.orientations, some.orientations, atol=1e-14)
    assert (back.space_group, back.cell) == (some.space_group, some.cell)


def test_classes_and_units() -> None:
    some = grains()
    with h5py.File(BytesIO(nexus.files(exported(some))[".nxs"])) as file:
        classes = {name: group.attrs["NX_class"] for name, group in file["entry"].items() if "NX_class" in group.attrs}
        assert file["entry"].attrs["NX_class"] == "NXentry"
        assert classes == {
            "grains": "NXdata", "process": "NXprocess", "sample": "NXsample", "sample_frame": "NXcoordinate_system",
        }  # fmt: skip
        data = file["entry/grains"]
        assert data.attrs["signal"] in data and set(data.attrs["axes"]) <= set(data)
        assert data["position"].attrs["units"] == "um" and "a* along x" in data["orientation"].attrs["crystal_frame"]
        np.testing.assert_allclose(turned_by(data["quaternion"][1]), some.orientations[1], atol=1e-12)


@pytest.mark.parametrize("damage", ["orientation", "unit_cell", "shape", "space_group"])
def test_damaged(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.nxs"
    path.write_bytes(nexus.files(exported(grains()))[".nxs"])
    with h5py.File(path, "r+") as file:
        if damage == "shape":
            del file["entry/grains/position"]
            file["entry/grains/position"] = np.zeros((3, 3))
        elif damage == "space_group":
            del file["entry/sample/space_group"]
            file["entry/sample/space_group"] = "cubic"
        else:
            del file[f"entry/grains/{damage}"]
    with pytest.raises(FormatError) as caught:
        read_grain_list(path)
    assert "\n" not in str(caught.value)


def test_values_in_files_elsewhere(tmp_path: Path) -> None:
    own, path = tmp_path / "own", tmp_path / "own/a.nxs"
    own.mkdir()
    path.write_bytes(nexus.files(exported(grains()))[".nxs"])
    with h5py.File(path, "r+") as file, h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = file["entry/grains/position"][:]
        layout = h5py.VirtualLayout(secret["x"].shape, secret["x"].dtype)
        layout[...] = h5py.VirtualSource(secret["x"])
        del file["entry/grains/position"]
        file.create_virtual_dataset("entry/grains/position", layout)
    with pytest.raises(FormatError, match=r"position: leads to .*secret.h5, which is not below the folder"):
        read_grain_list(path)
