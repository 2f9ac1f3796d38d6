"""Files in which raw HDF5 files have their data: they belong to what a conversion depends on."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.convert.options import ConversionOptions
from midas.convert.scan import files_of

from .hdf5_files import write_eiger, write_fch5, write_virtual
from .raw_files import BASE, pixels

FRAMES = pixels((4, 6, 8))

Named = Callable[..., Mapping[str, list[str]]]


@pytest.fixture
def named(tmp_path: Path) -> Named:
    """The names of the files that a conversion depends on, by their roles; files elsewhere with their folder."""

    def names(path: Path, text: str = "", **options: object) -> Mapping[str, list[str]]:
        parameter_file = tmp_path / "ps.txt"
        parameter_file.write_text(BASE + text)
        found = files_of(ConversionOptions(parameter_file, tmp_path, str(path), **options), tmp_path)
        return {role: [str(file.relative_to(tmp_path)) for file in files] for role, files in found.items()}

    return names


def elsewhere(tmp_path: Path) -> Path:
    """A file that no other one may name without being asked."""
    (tmp_path / "own").mkdir()
    with h5py.File(tmp_path / "away.h5", "w") as file:
        file["x"], file["d"] = np.arange(4.0), FRAMES
    return tmp_path / "away.h5"


def test_a_plain_file_names_none(tmp_path: Path, named: Named) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"], file["instrument/x"] = FRAMES, 1.0
        file["never/read"] = h5py.ExternalLink("other.h5", "x")
    shutil.copy(tmp_path / "scan.h5", tmp_path / "other.h5")
    assert named(tmp_path / "scan.h5") == {"raw": ["scan.h5"]}


def test_data_files_of_a_master(tmp_path: Path, named: Named) -> None:
    master = write_eiger(tmp_path, FRAMES)
    found = named(master, data_location="entry/data")
    assert found == {"raw": ["s_master.h5", "s_data_000001.h5", "s_data_000002.h5"]}
    (tmp_path / "s_data_000001.h5").unlink()  # which the conversion says
    assert named(master, data_location="entry/data")["raw"][0] == "s_master.h5"


def test_sources_of_a_virtual_dataset_and_theirs(tmp_path: Path, named: Named) -> None:
    write_virtual(tmp_path / "inner.h5", FRAMES, 2, "d")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        layout = h5py.VirtualLayout(FRAMES.shape, FRAMES.dtype)
        layout[:] = h5py.VirtualSource("inner.h5", "d", FRAMES.shape)
        file.create_virtual_dataset("exchange/data", layout)
    assert named(tmp_path / "scan.h5")["raw"] == ["scan.h5", "inner.h5", "part0.h5", "part1.h5"]


@pytest.mark.parametrize("name", ["exchange/omega", "instrument/detector/pixel_mask", "instrument/x", "exchange/dark"])
def test_all_that_is_read_counts_and_the_option_decides(tmp_path: Path, named: Named, name: str) -> None:
    target = elsewhere(tmp_path)
    with h5py.File(target, "a") as file:
        file["dark"], file["mask"] = FRAMES[:1], np.zeros(FRAMES.shape[1:], "u4")
    part = {"exchange/dark": "dark", "instrument/detector/pixel_mask": "mask"}.get(name, "x")
    with h5py.File(tmp_path / "own/scan.h5", "w") as file:
        frames = "instrument/detector/data" if name.endswith("mask") else "exchange/data"
        file[frames] = FRAMES
        file.require_group("instrument/detector").attrs["NX_class"] = "NXdetector"
        file[name] = h5py.ExternalLink(str(target), part)
    asked = {"data_location": frames}
    assert named(tmp_path / "own/scan.h5", **asked) == {"raw": ["own/scan.h5"]}
    assert named(tmp_path / "own/scan.h5", allow_links=True, **asked) == {"raw": ["own/scan.h5", "away.h5"]}


@pytest.mark.parametrize("location", ["exchange/dark", "dark"])
def test_darks_and_floods(tmp_path: Path, named: Named, location: str) -> None:
    elsewhere(tmp_path)
    for name, place in (("dark.h5", location), ("flood.h5", "exchange/data")):
        with h5py.File(tmp_path / name, "w") as file:
            file[place] = h5py.ExternalLink("away.h5", "d")
    shutil.copy(tmp_path / "flood.h5", tmp_path / "scan.h5")
    found = named(tmp_path / "scan.h5", "Dark dark.h5\nFloodFN flood.h5\n")
    assert found == {role: [f"{role.replace('raw', 'scan')}.h5", "away.h5"] for role in ("raw", "dark", "flood")}


def test_sparse_caches(tmp_path: Path, named: Named) -> None:
    write_fch5(tmp_path / "cache.h5", FRAMES)
    with h5py.File(tmp_path / "scan.fch5", "w") as file:
        for name in ("shape", "nframes", "dtype", "data", "indices", "frame_ids"):
            file[name] = h5py.ExternalLink("cache.h5", name)
    assert named(tmp_path / "scan.fch5") == {"raw": ["scan.fch5", "cache.h5"]}


@pytest.mark.parametrize("damage", ["cut", "no frames", "absent", "another kind"])
def test_what_is_wrong_is_left_for_the_conversion(
    tmp_path: Path, named: Named, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = tmp_path / "scan.h5"
    if damage == "another kind":
        path.write_bytes(b"II*\0")
    elif damage != "absent":
        with h5py.File(path, "w") as file:
            file["exchange/flat" if damage == "no frames" else "exchange/data"] = FRAMES[0, 0]
            file["exchange/away"] = h5py.ExternalLink("/etc/passwd", "x")
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:700])
    with caplog.at_level(logging.DEBUG):
        assert named(path) == {"raw": ["scan.h5"]}
    assert caplog.text == "" and not logging.root.manager.disable
