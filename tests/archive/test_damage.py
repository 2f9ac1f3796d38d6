"""Files that are no archive, and damaged ones: an error message that names the culprit, and never more."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zipfile
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_archive import PARAMETERS, frames_of, repacked, replaced

from midas.archive import DARK, DATA, Archive, ArchiveWriter, set_dataset
from midas.archive.zarr_array import ArrayMetadata
from midas.archive.zip_container import ZipReader
from midas.parameters import ANALYSIS, SCAN
from midas.runtime.errors import ArchiveError, MidasError, OutputError


def message(path: Path) -> str:
    with pytest.raises(ArchiveError) as caught, Archive(path) as archive:
        list(archive.frames)
    assert caught.value.file == os.fspath(path)
    return str(caught.value)


@pytest.mark.parametrize("key", ["shape", "chunks"])
@pytest.mark.parametrize("number", ["180.5", "true", '"180"', "null", "1e2"])
def test_sizes_that_are_no_whole_numbers(key: str, number: str) -> None:
    sound = ArrayMetadata((4, 3), (1, 3), np.dtype("<u2")).document()
    assert ArrayMetadata.parse(sound).shape == (4, 3)
    document = json.loads(sound)
    bent = json.dumps(document | {key: [json.loads(number), 3]}).encode()
    with pytest.raises(ValueError, match=f"has {key} .*, which must be whole numbers"):
        ArrayMetadata.parse(bent)


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


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=150, deadline=None)
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
