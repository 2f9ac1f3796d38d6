"""The .MIDAS.zip: everything that readers must accept (docs/theory/archive.md#rules-for-readers) is read right."""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from tiny_archive import frames_of, repacked, replaced

from midas.archive import DATA, FLOOD, MASK, Archive, ArchiveWriter, set_dataset, set_datasets
from midas.parameters import ANALYSIS, SCAN, Parameters
from midas.runtime.errors import ArchiveError


def test_frames_are_found_by_name_not_by_place(written) -> None:
    frames = frames_of((11, 24, 30))
    path = repacked(written(frames), lambda members: members[::-1])
    with Archive(path) as archive:
        np.testing.assert_array_equal(np.stack(list(archive.frames)), frames)


def test_deflated_members(written) -> None:
    frames = frames_of()
    path = repacked(written(frames), list, zipfile.ZIP_DEFLATED)
    with Archive(path) as archive:
        np.testing.assert_array_equal(np.stack(list(archive.frames)), frames)
        assert archive.parameters["Lsd"] == 1000000


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_of_one_name_the_later_counts(written) -> None:
    chunk = numcodecs.Blosc().encode(np.array([7e5]))
    path = repacked(written(frames_of()), lambda members: [*members, (f"{ANALYSIS}Lsd/0", chunk)])
    with Archive(path) as archive:
        assert archive.parameters["Lsd"] == 7e5


def test_a_chunk_that_is_not_stored_has_the_fill_value(written) -> None:
    frames = frames_of()
    path = written(frames)
    path = repacked(path, lambda members: [m for m in replaced(path, fill_value=9)(members) if m[0] != f"{DATA}/2.0.0"])
    with Archive(path) as archive:
        np.testing.assert_array_equal(archive.frames[2], np.full((24, 30), 9))
        np.testing.assert_array_equal(archive.frames[3], frames[3])


@pytest.mark.parametrize("value", [None, 0.0, "NaN", "-Infinity"])
def test_fill_values_of_floats(written, value: object) -> None:
    path = written(frames_of(dtype="<f4"))
    path = repacked(path, lambda members: [m for m in replaced(path, fill_value=value)(members) if "2.0.0" not in m[0]])
    with Archive(path) as archive:
        np.testing.assert_array_equal(archive.frames[2], np.full((24, 30), float(value or 0), np.float32))


def zarr_chunks(frames: np.ndarray, chunks: tuple[int, ...], codec=None, filters=(), separator=".", order="C"):
    """Members of an array with any chunks, codec, filters and order, coded by numcodecs."""
    document = {"shape": frames.shape, "chunks": chunks, "dtype": frames.dtype.str, "fill_value": 0, "order": order}
    document |= {"compressor": codec and codec.get_config(), "filters": [f.get_config() for f in filters] or None}
    document |= {"zarr_format": 2, "dimension_separator": separator}
    members = [(f"{DATA}/.zarray", json.dumps(document).encode())]
    padded = np.zeros([-(-n // c) * c for n, c in zip(frames.shape, chunks, strict=True)], frames.dtype)
    padded[tuple(slice(0, n) for n in frames.shape)] = frames
    for index in np.ndindex(*[n // c for n, c in zip(padded.shape, chunks, strict=True)]):
        chunk = padded[tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))]
        content = np.frombuffer(chunk.tobytes(order), frames.dtype)
        for step in filters:
            content = step.encode(content)
        content = codec.encode(content) if codec else content.tobytes()
        members.append((f"{DATA}/{separator.join(map(str, index))}", bytes(content)))
    return members


@pytest.mark.parametrize(
    "options",
    [
        {"codec": None},
        {"codec": numcodecs.Zlib(1)},
        {"codec": numcodecs.Zstd(1), "filters": [numcodecs.Delta("<i4")]},
        {"codec": numcodecs.Blosc("zlib", 3, 1), "chunks": (2, 5, 7)},
        {"codec": numcodecs.Blosc("lz4", 5, 0), "chunks": (1, 4, 10), "separator": "/"},
        {"codec": numcodecs.Blosc(), "order": "F"},
        {"codec": numcodecs.Blosc(), "filters": [numcodecs.Delta("<i4")]},
        {"codec": None, "dtype": ">i4"},
        {"codec": numcodecs.Blosc(), "dtype": ">i4", "chunks": (1, 12, 9)},
    ],
    ids=lambda o: "-".join(f"{k}" for k in o),
)
def test_any_chunks_codecs_filters(tmp_path: Path, options: dict) -> None:
    frames = frames_of((5, 12, 9), options.pop("dtype", "<i4"))
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as output:
        for name, content in zarr_chunks(frames, options.pop("chunks", (1, 12, 9)), **options):
            output.writestr(name, content)
    with Archive(path) as archive:
        np.testing.assert_array_equal(np.stack(list(archive.frames)), frames)
        np.testing.assert_array_equal(archive.dataset(DATA).read(), frames)
        out = np.zeros((12, 9), np.float64)
        archive.frames.read_into(-1, out)
        np.testing.assert_array_equal(out, frames[-1])


@pytest.mark.parametrize("label", [(b"\1\0\0\0\6\0\0\0uint16", "|O"), (b"unknown", "|S7"), None])
def test_the_type_of_the_frames_is_that_of_the_array(written, label) -> None:
    """The label may be an object string, 'unknown', or missing."""

    def edit(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        kept = [m for m in members if "datatype" not in m[0]]
        if label is None:
            return kept
        document = {"shape": [], "chunks": [], "dtype": label[1], "compressor": None, "order": "C", "fill_value": None}
        document |= {"filters": [{"id": "vlen-utf8"}] if label[1] == "|O" else None, "zarr_format": 2}
        return [*kept, (f"{SCAN}datatype/.zarray", json.dumps(document).encode()), (f"{SCAN}datatype/0", label[0])]

    frames = frames_of(dtype="<i4")
    with Archive(repacked(written(frames), edit)) as archive:
        assert archive.frames.dtype == np.int32
        np.testing.assert_array_equal(archive.frames[0], frames[0])
        assert archive.parameters["Lsd"] == 1000000
        if label:
            text = archive.dataset(f"{SCAN}datatype").read()[()]
            assert text in (b"unknown", "uint16")


def test_parameters_of_another_type_or_length(written, caplog: pytest.LogCaptureFixture) -> None:
    path = written(frames_of())
    set_datasets(
        path,
        {
            f"{ANALYSIS}Lsd": np.array([900000], "<i4"),
            f"{ANALYSIS}SpaceGroup": np.array([194.0]),
            f"{ANALYSIS}Wedge": np.array([0.1, 0.2]),
            f"{SCAN}start": np.array([1.0, 2.0]),
        },
    )
    with Archive(path) as archive:
        assert archive.parameters["Lsd"] == 900000.0
        assert archive.parameters["SpaceGroup"] == 194
        assert archive.parameters["Wedge"] == 0.2
        assert archive.omegas[0] == 2.0
    assert "Wedge holds 2 values" in caplog.text and "start holds 2 values" in caplog.text


def test_of_two_names_of_one_quantity_the_later_in_the_directory_counts(written) -> None:
    path = written(frames_of())
    set_dataset(path, f"{ANALYSIS}MaxRingRad", [1000.0])
    with Archive(path) as archive:
        assert archive.parameters["RhoD"] == 1000.0
    set_dataset(path, f"{ANALYSIS}RhoD", [2000.0])  # stays in its place, before MaxRingRad
    with Archive(path) as archive:
        assert archive.parameters["RhoD"] == 1000.0


def test_omegas(written, caplog: pytest.LogCaptureFixture) -> None:
    path = written(frames_of())
    angles = [3.0, 1.0, 4.0, 1.5, 9.0]
    set_dataset(path, f"{SCAN}omegaCenter", angles)
    with Archive(path) as archive:
        np.testing.assert_array_equal(archive.omegas, angles)
        assert "OmegaStart" in archive.parameters
    set_dataset(path, f"{SCAN}omegaCenter", angles[1:])
    with Archive(path) as archive, pytest.raises(ArchiveError, match="4 angles for 5 frames"):
        archive.omegas  # noqa: B018
    bare = repacked(path, lambda members: [m for m in members if SCAN not in m[0]])
    with Archive(bare) as archive:
        np.testing.assert_array_equal(archive.omegas, np.zeros(5))
    assert "step is missing" in caplog.text


def test_mask_flood_and_dark(tmp_path: Path) -> None:
    frames, mask = frames_of(), (frames_of((1, 24, 30)) > 50).astype(np.uint16)
    flood = np.linspace(0.5, 2, 900).reshape(1, 30, 30)
    path = tmp_path / "a.zip"
    with ArchiveWriter(path, frames.shape, frames.dtype) as writer:
        writer.add_frames(DATA, frames.shape, frames)
        writer.add_dataset(MASK, mask)
        writer.add_dataset(FLOOD, flood)
    with Archive(path) as archive:
        np.testing.assert_array_equal(archive.mask[0], mask[0])
        np.testing.assert_array_equal(archive.flood[0], flood[0])
        assert archive.dark is None
    set_dataset(path, MASK, np.zeros((1, 30, 24), np.uint16))
    with Archive(path) as archive, pytest.raises(ArchiveError, match=r"exchange/mask: has frames of \(30, 24\)"):
        archive.mask  # noqa: B018


def test_many_threads_read_at_once(written) -> None:
    frames = frames_of((40, 64, 65))
    with Archive(written(frames)) as archive, ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for i, frame in enumerate(pool.map(archive.frames.__getitem__, range(40))):
                np.testing.assert_array_equal(frame, frames[i])


def test_frame_numbers_and_outputs_are_checked(written) -> None:
    with Archive(written(frames_of())) as archive:
        np.testing.assert_array_equal(archive.frames[-1], archive.frames[4])
        assert len(archive.frames) == 5
        for frame in (5, -6):
            with pytest.raises(IndexError):
                archive.frames[frame]
        with pytest.raises(ValueError, match="shape"):
            archive.frames.read_into(0, np.zeros((30, 24), np.uint16))


@pytest.mark.golden
@pytest.mark.parametrize(("name", "frames", "side"), [("au3", 1440, 2048), ("ds1", 360, 1024), ("ds2", 360, 1024)])
def test_golden_archives(golden, name: str, frames: int, side: int, caplog: pytest.LogCaptureFixture) -> None:
    path = golden(name) / f"{name}.MIDAS.zip"
    expected = Parameters.read(golden(name) / "Parameters.txt")
    with caplog.at_level(logging.WARNING), Archive(path) as archive:
        assert archive.frames.shape == (frames, side, side)
        assert archive.frames.dtype == np.uint16
        found = archive.parameters
        np.testing.assert_allclose(archive.omegas, expected["OmegaStart"] + expected["OmegaStep"] * np.arange(frames))
        with zarr.storage.ZipStore(path, mode="r") as store:
            data = zarr.open_group(store, mode="r", zarr_format=2)[DATA]
            for i in (0, 3, frames - 1):
                np.testing.assert_array_equal(archive.frames[i], data[i])
                assert zlib.crc32(archive.frames[i]) == zlib.crc32(np.ascontiguousarray(data[i]))
    assert found["ResultFolder"] == "./"
    shared = [key for key in expected if key in found and key != "ResultFolder"]
    assert len(shared) > 40
    assert {key: found[key] for key in shared} == {key: expected[key] for key in shared}
    assert not caplog.records


def test_no_frame_at_all(written, tmp_path: Path) -> None:
    """Of an array of which some chunks are stored the others are zeros; without any the frames were lost."""
    full, some, none = written(np.ones((3, 4, 4), np.uint16)), tmp_path / "some.zip", tmp_path / "none.zip"
    with zipfile.ZipFile(full) as source:
        for path, kept in ((some, {"exchange/data/0.0.0"}), (none, set())):
            with zipfile.ZipFile(path, "w") as target:
                for name in source.namelist():
                    if not name.startswith("exchange/data/") or "/." in name or name in kept:
                        target.writestr(name, source.read(name))
    with Archive(some) as archive:
        assert [frame.max() for frame in archive.frames] == [1, 0, 0]
    with Archive(none) as archive, pytest.raises(ArchiveError, match="exchange/data: has none of its chunks"):
        archive.frames  # noqa: B018 - raises
