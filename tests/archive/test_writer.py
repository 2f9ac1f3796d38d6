"""The .MIDAS.zip: what is written reads back, everywhere, and a dataset is replaced in place."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_archive import PARAMETERS, frames_of

import midas.archive.writer
from midas.archive import BRIGHT, DARK, DATA, Archive, ArchiveWriter, set_dataset, set_datasets
from midas.archive.zip_container import ZipReader, ZipWriter
from midas.parameters import ANALYSIS, SCAN
from midas.runtime.errors import OutputError

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
    """Order and names of the members, codecs, shapes and types (docs/theory/archive.md#rules-for-writers)."""
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
    assert (codec["id"], codec["cname"], codec["clevel"], codec["shuffle"]) == ("blosc", "lz4", 5, 2)
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
    compress = midas.archive.writer.encode

    def source():
        for i in range(40):
            drawn.append(i)
            assert len(drawn) - len(finished) <= 6
            yield np.full((4, 4), i + 1, np.uint16)

    def encode(array, codec):
        chunk = compress(array, codec)
        if codec is midas.archive.writer.FRAME_CODEC:
            finished.append(1)
        return chunk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(midas.archive.writer, "encode", encode)
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

    monkeypatch.setattr(midas.archive.writer.os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left"):
        set_dataset(path, f"{ANALYSIS}ResultFolder", b"/new/")
    assert path.read_bytes() == before


@pytest.mark.parametrize(("filled", "shuffle"), [(1, 1), (100, 1), (300, 4), (1000, 4)])
def test_sparse_frames_have_byte_shuffle(filled, shuffle, tmp_path):
    """Smaller and faster so; every frame says itself how it is shuffled."""
    frame = np.zeros((25, 40), np.uint16)
    frame.ravel()[:filled] = 1 + np.arange(filled)
    with ArchiveWriter(tmp_path / "a.zip", (1, 25, 40), np.uint16) as writer:
        writer.add_frames(DATA, (1, 25, 40), iter([frame]))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        chunk = archive.read(f"{DATA}/0.0.0")
    assert chunk[2] & 5 == shuffle
    with Archive(tmp_path / "a.zip") as archive:
        np.testing.assert_array_equal(archive.frames[0], frame)
