"""HDF5 objects that are written without the library: what the library makes of them, and of changes to them."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import many_grains
import numpy as np
import pytest

from midas._ext.numerics.lookup3 import seal
from midas.results import consolidated
from midas.results.consolidated import spot_objects
from midas.results.consolidated.spot_objects import GrainSpots, PeakTypes, peak_record
from midas.results.hdf5 import objects, writing
from midas.results.hdf5.objects import Appender
from midas.results.hdf5.writing import atomic_hdf5
from midas.runtime.errors import OutputError

NAMES = ("intensity", "omega")


def spots_of(counts: list[int], peaks: list[int], first: list[int] | None = None, **changes: Any) -> GrainSpots:
    """Grains of `counts` spots, which have `peaks` constituents each, which begin at `first`."""
    n, ends = sum(counts), np.cumsum([0, *peaks])
    begin = ends[:-1] if first is None else np.array(first)
    total = int(ends[-1])
    values = {
        "offsets": np.cumsum([0, *counts]),
        "columns": {"omega": np.arange(n) + 0.5},
        "ids": np.arange(1, n + 1),
        "scalars": {"omega": np.arange(n) + 0.5, "ring": np.full(n, 2.0)},
        "names": [f"spot_{i:06d}" for i in range(1, n + 1)],
        "first": begin,
        "last": begin + np.array(peaks, int),
        "constituents": np.stack([np.zeros(total, int), np.arange(total), np.arange(total) + 100], axis=1),
        "peaks": np.stack([np.arange(total) + 0.25, -np.arange(total)], axis=1).astype(float),
        **changes,
    }
    return GrainSpots(**values, types=PeakTypes(NAMES, {}))


def without_map(spots: GrainSpots) -> GrainSpots:
    return replace(spots, first=None, last=None)


def write(path: Path, spots: GrainSpots) -> None:
    """A file with groups ``g0``, ``g1`` ... for the grains."""
    with atomic_hdf5(path) as root:
        grains = [f"g{i}" for i in range(len(spots.offsets) - 1)]
        for name in grains:
            root.group(name)
        if spots.first is not None and spots.last is not None:
            for count in set((spots.last - spots.first).tolist()) - {0}:
                spots.types.addresses[count] = root.commit(f"peaks_{count}", peak_record(NAMES, count))

        def later(out: Appender) -> list[tuple[str, str, int]]:
            links = [(name, "spots", address) for name, address in zip(grains, spots.write(out), strict=True)]
            for address, count in spots.types.used.items():
                root.used(address, count)
            return links

        root.later(later, len(grains))
        root.put("large", np.arange(4000.0).reshape(1000, 4).T)


def read(path: Path) -> dict[str, Any]:
    """Everything below the grains."""
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()] if isinstance(item, h5py.Dataset) else None}))
        np.testing.assert_array_equal(file["large"][:], np.arange(4000.0).reshape(1000, 4).T)
    return found


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_numbers_come_back(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many grains are written at a time; a grain without spots, a spot without peaks, one of many peaks."""
    monkeypatch.setattr(spot_objects, "_MOST_SPOTS", block)
    peaks = [1, 2, 0, 3000, 2, 0]
    write(tmp_path / "x.h5", spots_of([2, 0, 3, 1], peaks))
    ends = np.cumsum([0, *peaks])
    with h5py.File(tmp_path / "x.h5") as file:
        names = [f"g{grain}/spots/spot_{i:06d}" for i, grain in enumerate((0, 0, 2, 2, 2, 3), 1)]
        for i, name in enumerate(names):
            spot, rows = file[name], np.arange(ends[i], ends[i + 1])
            assert set(spot) == {"spot_id", "omega", "ring", "constituent_peaks"}
            assert (spot["spot_id"][()], spot["omega"][()], spot["ring"][()]) == (i + 1, i + 0.5, 2.0)
            assert spot["spot_id"].dtype == np.int64 and spot["omega"].dtype == np.float64
            cp = spot["constituent_peaks"]
            assert cp["n_constituent_peaks"][()] == peaks[i]
            for column, values in zip(
                ("frame_nr", "peak_id", *NAMES), (rows, rows + 100, rows + 0.25, -rows), strict=True
            ):
                np.testing.assert_array_equal(cp[column][:], values)
            assert cp["frame_nr"][:].dtype == np.int64 and cp["omega"][:].dtype == np.float64
        assert [file[f"g{g}/spots/n_spots"][()] for g in range(4)] == [2, 0, 3, 1]
        assert file["g1/spots/omega"].shape == (0,) and file["g2/spots/omega"][:].tolist() == [2.5, 3.5, 4.5]
        assert file["g1/spots/omega"][:].shape == (0,)


def test_a_spot_of_two_grains_has_its_peaks_once(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    write(path, spots_of([1, 1, 1], [2, 2, 1], first=[0, 0, 2]))
    with h5py.File(path) as file:
        same, other, third = (file[f"g{g}/spots/spot_{g + 1:06d}/constituent_peaks"] for g in range(3))
        assert same == other != third and third["frame_nr"][:].tolist() == [2]


def test_no_merge_map_and_no_groups(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", without_map(spots_of([1, 2], [1, 1, 1])))
    assert not [name for name in read(tmp_path / "x.h5") if "constituent" in name]
    write(tmp_path / "x.h5", spots_of([1, 2], [1, 1, 1], scalars={}))
    assert {name for name in read(tmp_path / "x.h5") if name.startswith("g1/")} == {
        "g1/spots", "g1/spots/omega", "g1/spots/n_spots"
    }  # fmt: skip


def test_a_group_of_many_and_long_names(tmp_path: Path) -> None:
    """Ids beyond six digits, headers that need two and four bytes for their sizes."""
    for n in (3, 10, 5000):
        names = [f"spot_{i:06d}" for i in range(999_999, 999_999 + n)]
        write(tmp_path / "x.h5", spots_of([n], [1] * n, names=names))
        with h5py.File(tmp_path / "x.h5") as file:
            spots = file["g0/spots"]
            assert [name for name in spots if name.startswith("spot_")] == sorted(names)
            assert spots[names[-1]]["omega"][()] == n - 0.5


def test_what_others_do_to_the_file(tmp_path: Path) -> None:
    """Links are counted: what is removed takes nothing along that is still in use, and new things can be added."""
    path = tmp_path / "x.h5"
    write(path, spots_of([2, 2], [2, 2, 0, 2], first=[0, 0, 2, 0]))
    with h5py.File(path, "r+") as file:
        del file["g0"]
        del file["g1/spots/spot_000003"]
        file["g1/spots/added"] = 1.0
        file["g1/spots/spot_000004"].attrs["seen"] = "yes"
        file["new/array"] = np.arange(10000)
        file["g1/spots/spot_000004/omega"][...] = 7
    with h5py.File(path) as file:
        spot = file["g1/spots/spot_000004"]
        assert (spot["ring"][()], spot["omega"][()], spot.attrs["seen"]) == (2.0, 7.0, "yes")
        assert spot["constituent_peaks"]["frame_nr"][:].tolist() == [0, 1]
        assert file["peaks_2"].dtype == peak_record(NAMES, 2)
        assert set(file["g1/spots"]) == {"omega", "n_spots", "spot_000004", "added"}
    with h5py.File(path, "r+") as file:
        del file["g1"]
        assert file["new/array"][-1] == 9999 and file["peaks_2"].dtype == peak_record(NAMES, 2)


def test_the_same_tables_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write(tmp_path / name, spots_of([2, 3], [1, 2, 3, 4, 5]))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.skipif(shutil.which("h5repack") is None, reason="the tools of HDF5 are not installed")
def test_tools_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They copy, compare and print all of a real file."""
    layer = many_grains.write(tmp_path / "layer", 3).layer
    path, copy = consolidated.write(layer), tmp_path / "copy.h5"
    for command in (["h5repack", path, copy], ["h5diff", path, copy], ["h5dump", "-d", "/parameters/Lsd", path]):
        found = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
        assert not found.stderr
    with h5py.File(path) as ours, h5py.File(copy) as theirs:
        names: list[list[str]] = [[], []]
        ours.visit(names[0].append)
        theirs.visit(names[1].append)
        assert names[0] and len(names[0]) == len(names[1])


def only_groups(buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
    if len(starts) == 1 and b"n_spots" in buffer.tobytes():
        seal(buffer, starts, ends)


@pytest.mark.parametrize("make", [lambda *_: None, only_groups])
def test_objects_that_the_library_does_not_read_are_found_out(
    make: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without their check sums it refuses them: all of them, or all but the groups of the grains."""
    monkeypatch.setattr(objects, "seal", make)
    with pytest.raises(OutputError, match=r"x\.h5: cannot be written"):
        write(tmp_path / "x.h5", spots_of([1], [1]))
    assert not list(tmp_path.iterdir())


def test_headers_of_the_library() -> None:
    """Place of the numbers and number of links in objects that the library has written, and refusal of other makes."""
    with h5py.File("x", "w", driver="core", backing_store=False, libver="earliest") as file:
        file["here"] = np.arange(3.0)
        for i in range(20):  # the header is continued elsewhere
            file["here"].attrs[f"name {i}"] = "text" * i
        address, offset = h5py.h5o.get_info(file["here"].id).addr, file["here"].id.get_offset()
        group = h5py.h5o.get_info(file.create_group("group").id).addr
        file.flush()
        image = bytearray(file.id.get_file_image())
    at = objects.place_of_layout(image, address)
    assert int.from_bytes(image[at : at + 8], "little") == offset
    objects.add_links(image, address, 3)
    assert int.from_bytes(image[address + 4 : address + 8], "little") == 4
    with pytest.raises(ValueError, match="no contiguous dataset"):
        objects.place_of_layout(image, group)
    image[address] = 2
    with pytest.raises(ValueError, match="version 2"):
        objects.place_of_layout(image, address)
    assert objects.end_of_file(image) == len(image)
    with pytest.raises(ValueError, match="superblock"):
        objects.end_of_file(b"\x89HDF\r\n\x1a\n\x02")


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is noticed: in the numbers, in the objects, in the room for the links."""
    path = tmp_path / "x.h5"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for place, name in ((Appender, "write"), (Appender, "whole"), (writing, "reserve")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, full)
            with pytest.raises(OutputError, match=r"x\.h5: cannot be written \(No space left on device\)"):
                write(path, spots_of([1], [1]))
        assert [p.name for p in tmp_path.iterdir()] == ["x.h5"] and path.read_bytes() == b"old"


def test_a_limit_of_the_size_of_files(tmp_path: Path) -> None:
    """The system refuses to write more, as a quota does: from nothing to all but the room for the links."""
    path = tmp_path / "x.h5"
    write(path, spots_of([3], [1, 2, 3]))
    whole, size = path.read_bytes(), path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in (0, 100, size // 4, size // 2, size - 2000, size - 1, size, size + 1, size + 60_000):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
            with pytest.raises(OutputError, match=r"x\.h5: cannot be written \(File too large\)"):
                write(path, spots_of([3], [1, 2, 3]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [p.name for p in tmp_path.iterdir()] == ["x.h5"] and path.read_bytes() == whole
