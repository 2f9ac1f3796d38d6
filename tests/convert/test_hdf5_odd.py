"""Types, names and links of HDF5 that no archive holds: left out or translated, never an exception."""

from __future__ import annotations

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5s, h5t

from midas.convert.readers.hdf5_metadata import metadata

from .hdf5_files import read
from .raw_files import pixels

FRAMES = pixels((2, 6, 8))


def copied(path: Path) -> dict[str, np.ndarray]:
    return {name.rpartition("/")[2]: values for name, values in metadata(path, {})}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = FRAMES
        file.create_group("instrument")
    return tmp_path / "scan.h5"


def test_types_of_numbers(path: Path) -> None:
    with h5py.File(path, "a") as file:
        group = file["instrument"]
        group["half"], group["long"], group["complex"] = np.float16(1.5), np.longdouble(1), np.complex64(1)
        group["big"], group["truth"] = np.array([1.5], ">f4"), np.array([True, False])
        group["choice"] = np.array([0, 1], h5py.enum_dtype({"a": 0, "b": 1}, "i1"))
        group["record"], group["opaque"] = np.zeros(2, [("a", "i4")]), np.void(b"abc")
        group["pairs"] = np.zeros(2, [("a", "i4", 3)])["a"]
        group["reference"] = np.array([file["exchange"].ref], h5py.ref_dtype)
        group["ragged"] = np.array([np.arange(2), np.arange(3)], object).astype(h5py.vlen_dtype("i4"))
        group["nothing"], group["empty"] = h5py.Empty("f4"), np.zeros(0)
        group["texts"] = ["one", "twenty"]
        space = h5s.create(h5s.SCALAR)
        brain = h5t.IEEE_F32LE.copy()
        brain.set_fields(15, 7, 8, 0, 7)
        brain.set_size(2)
        kinds = {"bits": h5t.STD_B16LE.copy(), "time": h5t.UNIX_D32LE.copy(), "brain": brain}
        for name, kind in kinds.items():
            h5d.create(group.id, name.encode(), kind, space)
    found = copied(path)
    assert found["half"] == 1.5 and found["big"].tolist() == [1.5] and found["truth"].tolist() == [1, 0]
    assert found["choice"].tolist() == [0, 1] and found["texts"].tolist() == [b"one", b"twenty"]
    assert found.keys() & {"long", "complex", "record", "opaque", "reference", "ragged", "nothing", "time"} == set()
    assert (read(path) == FRAMES).all()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", b".hidden", b" blank", b"a\\b", b"..", b"x" * 300])
def test_names_that_no_archive_has(path: Path, name: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with h5py.File(path, "a") as file:
        h5d.create(file["instrument"].id, name, h5t.NATIVE_INT32, h5s.create(h5s.SCALAR))
        file["instrument/plain"] = 3
    with caplog.at_level(logging.WARNING):
        assert list(copied(path)) == ["plain"]
    assert "an archive cannot have this name" in caplog.text and all(m.isprintable() for m in caplog.messages)
    assert (read(path) == FRAMES).all()


def test_hard_links_in_a_circle_and_deep_groups(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["instrument/again"] = file["instrument"]
        file["exchange/up"] = file["/"]
        file["/".join(["instrument", *"d" * 300, "value"])] = 1
        file["instrument/value"] = 2
        file["instrument/round"] = h5py.SoftLink("/instrument/round")
    assert copied(path)["value"] == 2
    assert (read(path) == FRAMES).all()


@pytest.mark.parametrize("name", ["data_000001", "data_999999999999"])
def test_numbers_far_apart(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["entry/data/data_000000"] = FRAMES
        file[f"entry/data/{name}"] = FRAMES
    if name == "data_000001":
        assert len(read(tmp_path / "scan.h5", location="entry/data")) == 4
    else:
        with pytest.raises(Exception, match="not the data sets number 1, 2, 3"):
            read(tmp_path / "scan.h5", location="entry/data")
