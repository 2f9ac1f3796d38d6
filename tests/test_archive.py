"""The .MIDAS.zip: what is written reads back, everywhere, and everything that old tools left behind is read right."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import midas.archive_writer
from midas.archive import BRIGHT, DARK, DATA, FLOOD, MASK, Archive, ArchiveWriter, set_dataset, set_datasets
from midas.errors import ArchiveError, MidasError, OutputError
from midas.formats.zip_container import ZipReader, ZipWriter
from midas.parameters import ANALYSIS, SCAN, Parameters

TEXT = """
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
BC 12.5 20
px 200
RhoD 204800
OmegaStart 10
OmegaStep -0.25
SkipFrame 1
RingThresh 1 80
RingThresh 2 60.5
ImTransOpt 1
ImTransOpt 2
ImTransOpt 3
OmegaRange -180 -10
OmegaRange 10 180
BoxSize -1000 1000 -1000 1000
BoxSize -1000 1000 -1000 1000
Completeness 0.8
doPeakFit 0
OverAllRingToIndex 2
ResultFolder /data/a folder/
SomethingElse 7 8
"""
PARAMETERS = Parameters.parse(TEXT, "ps.txt")


def frames_of(shape: tuple[int, ...] = (5, 24, 30), dtype: str = "<u2") -> np.ndarray:
    generator = np.random.default_rng(7)
    frames = generator.integers(0, 60, shape).astype(dtype)
    frames[1:2] = 0
    return frames


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(frames: np.ndarray, dark: np.ndarray | None = None, **options: object) -> Path:
        path = tmp_path / "scan.MIDAS.zip"
        with ArchiveWriter(path, frames.shape, frames.dtype, **options) as writer:
            if dark is not None:
                writer.add_frames(DARK, dark.shape, dark)
                writer.add_copy(DARK, BRIGHT)
            writer.add_frames(DATA, frames.shape, iter(frames))
            writer.add_parameters(PARAMETERS)
        return path

    return write


def repacked(path: Path, edit: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]], method: int = 0) -> Path:
    """The same archive with other members, written by the standard library."""
    with zipfile.ZipFile(path) as source:
        members = [(info.filename, source.read(info)) for info in source.infolist()]
    target = path.with_name("repacked.zip")
    with zipfile.ZipFile(target, "w", method) as output:
        for name, content in edit(members):
            output.writestr(name, content)
    return target


def replaced(path: Path, **changes: object) -> Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]:
    """An edit that changes fields of the .zarray of the frames."""

    def edit(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        return [
            (n, json.dumps({**json.loads(c), **changes}).encode() if n == f"{DATA}/.zarray" else c) for n, c in members
        ]

    return edit


# What is written


@settings(max_examples=60, deadline=None)
@given(data=st.data(), threads=st.integers(1, 3))
def test_frames_read_back_for_every_type_and_shape(data: st.DataObject, threads: int, tmp_path_factory) -> None:
    dtype = data.draw(st.sampled_from(["u1", "i1", "<u2", ">u2", "<i2", "<u4", "<i4", ">i4", "<f4", "<f8"]))
    shape = data.draw(st.tuples(*[st.integers(1, n) for n in (4, 9, 9)]))
    frames = data.draw(arrays(np.dtype(dtype), shape))
    path = tmp_path_factory.mktemp("archive") / "a.zip"
    with ArchiveWriter(path, shape, frames.dtype, threads=threads) as writer:
        writer.add_frames(DATA, shape, frames)
    with Archive(path) as archive:
        assert archive.frames.shape == shape
        assert archive.frames.dtype == np.dtype(dtype).newbyteorder("=")
        found = np.stack(list(archive.frames))
    assert found.tobytes() == frames.astype(found.dtype).tobytes()  # bits: NaN and -0.0 too


def test_zarr_reads_what_is_written(written) -> None:
    frames, dark = frames_of(), frames_of((2, 24, 30))
    path = written(frames, dark)
    with zarr.storage.ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r", zarr_format=2)
        np.testing.assert_array_equal(group[DATA][:], frames)
        np.testing.assert_array_equal(group[DARK][:], dark)
        np.testing.assert_array_equal(group[BRIGHT][:], dark)
        assert group[f"{SCAN}datatype"][()] == b"uint16"
        np.testing.assert_array_equal(group[f"{ANALYSIS}RingThresh"][:], [[1, 80], [2, 60.5]])
        assert group[f"{ANALYSIS}ResultFolder"][:].tolist() == [b"/data/a folder/"]


def test_the_rules_of_the_legacy_readers(written) -> None:
    """Order and names of the members, codecs, shapes and types (chapter 01 §3.5.2)."""
    frames, dark = frames_of((12, 24, 30)), frames_of((3, 24, 30))
    with zipfile.ZipFile(written(frames, dark, threads=2)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        members = {info.filename: archive.read(info) for info in archive.infolist()}
        assert {(info.compress_type, info.flag_bits) for info in archive.infolist()} == {(zipfile.ZIP_STORED, 0)}
    for stack, count in ((DATA, 12), (DARK, 3), (BRIGHT, 3)):
        first = names.index(f"{stack}/0.0.0")
        assert names[first : first + count] == [f"{stack}/{i}.0.0" for i in range(count)]
    label = names.index(f"{SCAN}datatype/.zarray")
    assert names[label + 1] == f"{SCAN}datatype/0"
    assert members[f"{SCAN}datatype/0"] == b"uint16"
    assert label == next(i for i, name in enumerate(names) if f"{SCAN}datatype" in name)
    assert not [name for name in names if name.endswith("/")]
    for name, content in members.items():
        if name.endswith(".zarray"):
            text = content.decode()
            document = json.loads(text)
            assert text == json.dumps(document, indent=4, sort_keys=True)
            found = text[text.index("shape") :]
            found = found[found.index("[") + 1 : found.index("]")]
            assert [int(n) for n in found.split(",") if n.strip()] == document["shape"]
            assert document["filters"] is None and document["order"] == "C"
        elif not name.endswith(".zgroup") and "datatype" not in name:
            assert content[0] == 2, f"{name} is not a Blosc-1 frame"
    document = {n: json.loads(c) for n, c in members.items() if n.endswith(".zarray")}
    codec = document[f"{DATA}/.zarray"]["compressor"]
    assert (codec["id"], codec["cname"], codec["clevel"], codec["shuffle"]) == ("blosc", "zstd", 1, 2)
    assert document[f"{DATA}/.zarray"]["chunks"] == [1, 24, 30]
    for name, dtype, shape in (
        ("Lsd", "<f8", [1]),
        ("SpaceGroup", "<i4", [1]),
        ("YCen", "<f8", [1]),
        ("OmegaRanges", "<f8", [2, 2]),
        ("BoxSizes", "<f8", [2, 4]),
        ("RingThresh", "<f8", [2, 2]),
        ("ImTransOpt", "<i4", [3]),
        ("LatticeParameter", "<f8", [6]),
        ("SomethingElse", "<i8", [2]),
        ("RingsToExclude", "<f8", [1, 2]),
    ):
        assert (document[f"{ANALYSIS}{name}/.zarray"]["dtype"], document[f"{ANALYSIS}{name}/.zarray"]["shape"]) == (
            dtype,
            shape,
        )
    assert f"{ANALYSIS}RingThresh/0.0" in members and f"{ANALYSIS}ImTransOpt/0" in members


def test_parameters_read_back(written) -> None:
    with Archive(written(frames_of())) as archive:
        found = archive.parameters
        np.testing.assert_allclose(archive.omegas, 10.25 - 0.25 * np.arange(5))
    assert {name: found[name] for name in PARAMETERS} == {name: PARAMETERS[name] for name in PARAMETERS}


def test_the_bytes_do_not_depend_on_the_threads(written) -> None:
    frames = frames_of((9, 24, 30))
    one = written(frames, threads=1).read_bytes()
    assert written(frames, threads=3).read_bytes() == one


def test_frames_are_taken_as_they_are_compressed(tmp_path: Path) -> None:
    """Memory does not grow with the scan: no more frames are drawn than the threads can hold."""
    drawn = []
    finished = []
    compress = midas.archive_writer.encode

    def source():
        for i in range(40):
            drawn.append(i)
            assert len(drawn) - len(finished) <= 6
            yield np.full((4, 4), i + 1, np.uint16)

    def encode(array, codec):
        chunk = compress(array, codec)
        if codec is midas.archive_writer.FRAME_CODEC:
            finished.append(1)
        return chunk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(midas.archive_writer, "encode", encode)
        with ArchiveWriter(tmp_path / "a.zip", (40, 4, 4), np.uint16, threads=2) as writer:
            writer.add_frames(DATA, (40, 4, 4), source())
    assert len(finished) == 40


def test_a_failed_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"what was there")
    with (
        pytest.raises(RuntimeError, match="broken"),
        ArchiveWriter(path, (3, 4, 4), np.uint16, keep_old=True) as writer,
    ):
        writer.add_frames(DATA, (3, 4, 4), frames_of((3, 4, 4)))
        raise RuntimeError("broken")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
    assert path.read_bytes() == b"what was there"
    with pytest.raises(ValueError, match="2 frames came"), ArchiveWriter(path, (3, 4, 4), np.uint16) as writer:
        writer.add_frames(DATA, (3, 4, 4), frames_of((2, 4, 4)))
    with pytest.raises(ValueError, match="was not written"), ArchiveWriter(path, (3, 4, 4), np.uint16):
        pass
    assert path.read_bytes() == b"what was there"


def test_an_archive_that_was_there_is_kept_on_request(written) -> None:
    first = written(frames_of(dtype="<u4"))
    content = first.read_bytes()
    written(frames_of(), keep_old=True)
    assert first.with_name(first.name + ".old").read_bytes() == content
    written(frames_of())
    assert first.with_name(first.name + ".old").read_bytes() == content


def test_names_that_would_mislead_legacy_readers_are_refused(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "a.zip", (1, 4, 4), np.uint16) as writer:
        writer.add_frames(DATA, (1, 4, 4), np.ones((1, 4, 4), np.uint16))
        with pytest.raises(ValueError, match="legacy readers"):
            writer.add_dataset("measurement/exchange/data", [1.0])
        writer.add_dataset("instrument/name", "APS")
        with pytest.raises(ValueError, match="twice"):
            writer.add_dataset("instrument/name", "ESRF")


def test_zip64_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many members, and offsets beyond 4 GiB (a sparse file)."""
    path = tmp_path / "large.zip"
    with open(path, "wb") as stream:
        writer = ZipWriter(stream)
        members = [writer.add("first", b"1")]
        gap = (5 << 30) - stream.tell()
        stream.seek(gap, os.SEEK_CUR)
        writer = ZipWriter(stream, stream.tell())
        members += [writer.add(f"{i}", b"%d" % i) for i in range(70000)]
        stream.write(writer.write_directory(members))
    with ZipReader(path) as container:
        assert len(container.entries) == 70001
        assert container.read(container.members["first"]) == b"1"
        assert container.read(container.members["69999"]) == b"69999"
    with zipfile.ZipFile(path) as other:
        assert other.read("69999") == b"69999" and len(other.namelist()) == 70001


# Replacing a dataset


def test_a_dataset_is_replaced_in_place(written) -> None:
    frames = frames_of((30, 24, 30))
    path = written(frames)
    before = path.read_bytes()
    order = zipfile.ZipFile(path).namelist()
    assert set_dataset(path, f"{ANALYSIS}ResultFolder", b"/somewhere/else/")
    after = path.read_bytes()
    assert after.startswith(before)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == order
    with Archive(path) as archive:
        assert archive.parameters["ResultFolder"] == "/somewhere/else/"
        np.testing.assert_array_equal(archive.frames[29], frames[29])
    assert not set_dataset(path, f"{ANALYSIS}ResultFolder", b"/somewhere/else/")
    assert path.read_bytes() == after


def test_datasets_are_added_with_their_groups(tmp_path: Path) -> None:
    """A bare simulation archive gets its parameters; a stale chunk of another shape goes."""
    path = tmp_path / "bare.zip"
    with zipfile.ZipFile(path, "w") as bare:
        bare.writestr(".zgroup", '{"zarr_format": 2}')
        bare.writestr("exchange/.zgroup", '{"zarr_format": 2}')
        document = {"shape": [1, 2, 2], "chunks": [1, 2, 2], "dtype": "<u2", "compressor": None, "fill_value": 3}
        document |= {"order": "C", "filters": None, "zarr_format": 2}
        bare.writestr(f"{DATA}/.zarray", json.dumps(document))
        old = {**document, "shape": [2, 1], "chunks": [2, 1], "dtype": "<f8"}
        bare.writestr(f"{ANALYSIS}ImTransOpt/.zarray", json.dumps(old))
        bare.writestr(f"{ANALYSIS}ImTransOpt/0.0", np.array([1.0, 2.0]).tobytes())
        bare.writestr(f"{ANALYSIS}ImTransOpt/0", b"stale")
    with Archive(path) as archive:
        assert archive.parameters["ImTransOpt"] == (1, 2)
        np.testing.assert_array_equal(archive.frames[0], np.full((2, 2), 3))
        assert archive.dark is None and archive.mask is None and archive.flood is None
    assert set_datasets(path, {f"{ANALYSIS}ImTransOpt": np.array([2, 3], "<i4"), f"{SCAN}step": np.array([0.5])})
    names = zipfile.ZipFile(path).namelist()
    assert [n for n in names if "ImTransOpt" in n] == [f"{ANALYSIS}ImTransOpt/.zarray", f"{ANALYSIS}ImTransOpt/0"]
    assert {f"{SCAN}.zgroup", "measurement/.zgroup", "measurement/process/.zgroup"} <= set(names)
    assert len(names) == len(set(names))
    with Archive(path) as archive:
        assert archive.parameters["ImTransOpt"] == (2, 3)
        assert archive.parameters["OmegaStep"] == 0.5


def test_stacks_and_the_type_label_are_not_replaced_alone(written) -> None:
    path = written(frames_of())
    for name in (DATA, DARK, f"{SCAN}datatype"):
        with pytest.raises(ValueError, match="cannot be replaced"):
            set_dataset(path, name, [1.0])


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95, 1.0])
def test_an_interrupted_update_does_no_harm(written, kept: float, caplog: pytest.LogCaptureFixture) -> None:
    """However much of the new tail reached the disk: the old archive is read, and the next update cleans up."""
    frames = frames_of((900, 8, 8))
    path = written(frames)
    size = path.stat().st_size
    set_dataset(path, f"{ANALYSIS}ResultFolder", b"/new/")
    tail = path.stat().st_size - size
    os.truncate(path, size + int((tail - 22) * kept))
    with Archive(path) as archive:
        assert archive.parameters["ResultFolder"] == "/data/a folder/"
        np.testing.assert_array_equal(archive.frames[899], frames[899])
    assert "interrupted" in caplog.text
    assert not set_dataset(path, f"{ANALYSIS}ResultFolder", b"/data/a folder/")
    assert path.stat().st_size == size
    set_dataset(path, f"{ANALYSIS}ResultFolder", b"/new/")
    assert zipfile.ZipFile(path).testzip() is None


def test_a_full_disk_leaves_the_archive_as_it_was(written, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(frames_of())
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(midas.archive_writer.os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left"):
        set_dataset(path, f"{ANALYSIS}ResultFolder", b"/new/")
    assert path.read_bytes() == before


# What readers must accept (chapter 01 §3.5.3)


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


# What is no archive


def message(path: Path) -> str:
    with pytest.raises(ArchiveError) as caught, Archive(path) as archive:
        list(archive.frames)
    assert caught.value.file == os.fspath(path)
    return str(caught.value)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    assert "No such file" in message(path)
    path.write_bytes(b"")
    assert "is empty" in message(path)
    path.write_bytes(b"text, not an archive\n" * 5000)
    assert "not a ZIP file" in message(path)
    path.write_bytes(b"PK\5\6" * 400)
    assert "not a ZIP file" in message(path)
    with zipfile.ZipFile(path, "w") as foreign:
        foreign.writestr("word/document.xml", "<xml/>")
    assert "holds no arrays" in message(path)
    assert "cannot be read" in message(tmp_path)


def test_zarr_3_and_odd_names(written, tmp_path: Path) -> None:
    with zarr.storage.ZipStore(tmp_path / "three.zip", mode="w") as store:
        zarr.create_group(store, zarr_format=3).create_array("x", shape=(2, 2), dtype="u2")
    assert "Zarr 3" in message(tmp_path / "three.zip")
    dotted = repacked(written(frames_of()), lambda members: [(f"./{n}", c) for n, c in members])
    assert "'./'" in message(dotted)
    without = repacked(written(frames_of()), lambda members: [m for m in members if DATA not in m[0]])
    assert "has no frames" in message(without)


def test_a_truncated_archive(written) -> None:
    path = written(frames_of((30, 24, 30)))
    size = path.stat().st_size
    for length in (size - 1, size - 30, size // 2, 100):
        os.truncate(path, length)
        assert "incomplete copy" in message(path)


def test_a_damaged_chunk_is_named(written) -> None:
    path = written(frames_of())
    with ZipReader(path) as container:
        member = container.members[f"{DATA}/3.0.0"]
    content = bytearray(path.read_bytes())
    content[member.offset + 30 + len(member.name) + member.stored_size // 2] ^= 0x10
    path.write_bytes(content)
    with Archive(path) as archive:
        archive.frames[2]
        with pytest.raises(ArchiveError, match=r"exchange/data/3\.0\.0: is damaged \(its checksum"):
            archive.frames[3]
    content[member.offset : member.offset + 4] = b"nope"
    path.write_bytes(content)
    with Archive(path) as archive, pytest.raises(ArchiveError, match=r"3\.0\.0: is not where the directory says"):
        archive.frames[3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no Blosc frame"),
        (b"not Blosc, but long enough", "format"),
        (bytes([5]) + numcodecs.Blosc().encode(np.zeros((24, 30), "u2"))[1:], "format 5"),
        (numcodecs.Blosc().encode(np.zeros((24, 29), "u2")), "1392 bytes of numbers instead of 1440"),
        (numcodecs.Blosc().encode(np.zeros((24, 30), "u2"))[:-4], "bytes instead of"),
        (struct.pack("<4B3I", 2, 1, 33, 2, 1440, 1440, 40) + b"\xff" * 24, "cannot be decoded"),
    ],
)
def test_a_chunk_that_is_no_frame(written, content: bytes, reason: str) -> None:
    path = repacked(written(frames_of()), lambda ms: [(n, content if n == f"{DATA}/3.0.0" else c) for n, c in ms])
    text = message(path)
    assert f"{DATA}/3.0.0" in text and reason in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"zarr_format": 3}, "format 3"),
        ({"shape": [5, 24]}, "shape"),
        ({"dtype": "<u3"}, ""),
        ({"chunks": [0, 24, 30]}, "chunks"),
        ({"order": "X"}, "order"),
        ({"shape": None}, ""),
        ({"dtype": "<c16"}, "complex128"),
        ({"compressor": {"id": "no such codec"}}, "no such codec"),
        ({"dtype": "<u4"}, "instead of 2880"),
    ],
)
def test_impossible_metadata(written, changes: dict, reason: str) -> None:
    path = written(frames_of())
    text = message(repacked(path, replaced(path, **changes)))
    assert DATA in text and reason in text


def test_metadata_that_is_no_json(written) -> None:
    path = repacked(written(frames_of()), lambda ms: [(n, b"{" if n == f"{DATA}/.zarray" else c) for n, c in ms])
    assert f"{DATA}/.zarray" in message(path)


def test_encrypted_members_and_unknown_methods(written, tmp_path: Path) -> None:
    path = repacked(written(frames_of()), list, zipfile.ZIP_BZIP2)
    assert "method 12" in message(path)
    path = written(frames_of())
    content = bytearray(path.read_bytes())
    place = content.rindex(f"{DATA}/.zarray".encode()) - 46
    content[place + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted" in message(path)


def test_a_deflated_member_that_is_damaged(written) -> None:
    path = repacked(written(frames_of()), list, zipfile.ZIP_DEFLATED)
    with ZipReader(path) as container:
        member = container.members[f"{DATA}/0.0.0"]
    content = bytearray(path.read_bytes())
    start = member.offset + 30 + len(member.name)
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    assert "is damaged" in message(path)


def read_everything(path: Path) -> None:
    with Archive(path) as archive:
        for name in archive.datasets():
            if np.prod(archive.dataset(name).shape) < 1e6:
                archive.dataset(name).read()
        archive.parameters  # noqa: B018
        for stack in (archive.frames, archive.dark, archive.mask, archive.flood):
            for frame in range(min(3, len(stack or ()))):
                stack[frame]
        if len(archive.frames) < 100:
            archive.omegas  # noqa: B018


@pytest.fixture(scope="module")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.zip"
    frames = frames_of((3, 6, 7))
    with ArchiveWriter(path, frames.shape, frames.dtype) as writer:
        writer.add_frames(DARK, frames.shape, frames)
        writer.add_frames(DATA, frames.shape, frames)
        writer.add_parameters(PARAMETERS)
    return path


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_damage_is_more_than_an_error_message(small_archive: Path, data: st.DataObject) -> None:
    content = bytearray(small_archive.read_bytes())
    directory = content.index(b"PK\1\2")
    for _ in range(data.draw(st.integers(1, 4))):
        start, stop = data.draw(st.sampled_from([(0, directory), (directory, len(content))]))
        place = data.draw(st.integers(start, stop - 1))
        content[place] = data.draw(st.integers(0, 255))
    damaged = small_archive.with_name("damaged.zip")
    damaged.write_bytes(content)
    with contextlib.suppress(MidasError):
        read_everything(damaged)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_zarray_document_is_more_than_an_error_message(small_archive: Path, data: st.DataObject) -> None:
    """Documents of any content, with a right checksum."""
    junk = st.none() | st.booleans() | st.integers(-3, 9) | st.just(2**40) | st.floats() | st.text(max_size=5)
    junk = junk | st.lists(junk, max_size=4) | st.dictionaries(st.text(max_size=4), junk, max_size=2)
    changes = data.draw(
        st.dictionaries(
            st.sampled_from(
                "shape chunks dtype compressor filters fill_value order zarr_format dimension_separator".split()
            ),
            junk | st.sampled_from(["|O", "<f8", "|S3", "<U2", "<M8[s]", "i4,i4", "F"]),
            max_size=3,
        )
    )
    target = data.draw(st.sampled_from([DATA, DARK, f"{ANALYSIS}Lsd", f"{SCAN}start", f"{SCAN}datatype"]))
    damaged = small_archive.with_name("document.zip")
    with zipfile.ZipFile(small_archive) as source, zipfile.ZipFile(damaged, "w") as output:
        for name in source.namelist():
            content = source.read(name)
            if name == f"{target}/.zarray":
                content = json.dumps({**json.loads(content), **changes}).encode()
            output.writestr(name, content)
    with contextlib.suppress(MidasError):
        read_everything(damaged)


def test_set_dataset_on_what_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is missing"):
        set_dataset(tmp_path / "a.zip", f"{ANALYSIS}Lsd", [1.0])
    (tmp_path / "a.zip").write_bytes(b"nothing")
    with pytest.raises(ArchiveError, match="not a ZIP"):
        set_dataset(tmp_path / "a.zip", f"{ANALYSIS}Lsd", [1.0])
    with pytest.raises(OutputError):
        set_dataset(tmp_path, f"{ANALYSIS}Lsd", [1.0])
    with pytest.raises(OutputError), ArchiveWriter(tmp_path / "no" / "a.zip", (1, 2, 2), np.uint16):
        pass


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
