"""Files that claim more than they hold: a line with file, key and number, in bounded memory (docs/inputs.md#limits)."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import resource
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import hdf5plugin
import numcodecs
import numpy as np
import pytest
import tifffile

from midas.archive import DATA, Archive, ArchiveWriter
from midas.convert.readers import open_source
from midas.convert.source import Reading, made
from midas.runtime.errors import MidasError
from midas.runtime.limits import LARGEST_SIDE, ROOM

ROOM_OF_TESTS = 500 << 20


def outcome(path: Path, location: str = "exchange/data") -> tuple[str, int]:
    """What reading a file says, in a process of its own, and how much more memory that took at its peak."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            source = open_source(path, Reading(location, rows=2048, columns=2048, scratch=path.parent))
            for frame in source.frames():
                made(frame)
            text = "frames"
        except MidasError as error:
            text = str(error)
        except BaseException as error:
            text = f"foreign: {error!r}"
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        os.write(writing, json.dumps((text, (peak - before) << 10)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(process, 0)
    text, grown = json.loads(content)
    return text, grown


def bomb(path: Path, *words: str, **more: str) -> None:
    text, grown = outcome(path, **more)
    assert text.startswith(str(path)) and all(word in text for word in words), text
    assert "\n" not in text
    assert grown < 2 * path.stat().st_size + ROOM_OF_TESTS, f"{grown >> 20} MiB"


def hdf5(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...] | None = None, **options: object) -> Path:
    """A dataset of that shape of which nothing, or one chunk, is written."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("exchange/data", shape, "u2", chunks=chunks, **options)
        if options and chunks:
            data.id.write_direct_chunk((0,) * len(shape), zlib.compress(bytes(1 << 20)))
    return path


@pytest.mark.parametrize(
    ("shape", "chunks", "words"),
    [
        ((3, 30_000, 30_000), (1, 30_000, 30_000), ("30000 x 30000", "1800000000 bytes")),
        ((10**9, 16, 16), (1, 16, 16), ("1000000000 frames",)),
        ((1, 100_000, 4), (1, 100_000, 4), ("100000 x 4", str(LARGEST_SIDE))),
        ((1000, 1024, 1024), (1000, 1024, 1024), ("chunks of 1000 x 1024 x 1024", "2097152000 bytes", "h5repack")),
    ],
)
def test_hdf5_that_claims_too_much(tmp_path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], words) -> None:
    bomb(hdf5(tmp_path / "scan.h5", shape, chunks, compression="gzip"), "exchange/data", *words)


def test_contiguous_hdf5_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.ones((4, 512, 512), "u2")
    os.truncate(path, 1 << 20)
    bomb(path, "cannot be read as HDF5")


@pytest.mark.parametrize("filters", [{"compression": "gzip"}, hdf5plugin.Blosc(), hdf5plugin.Zstd(), hdf5plugin.LZ4()])
def test_chunks_that_hold_more_than_they_can(tmp_path: Path, filters) -> None:
    """A chunk of 32 x 32 pixels whose bytes become 64 MiB."""
    path = tmp_path / "scan.h5"
    big = bytes(64 << 20)
    packed = {
        32001: lambda: bytes(numcodecs.Blosc().encode(big)),
        32015: lambda: bytes(numcodecs.Zstd().encode(big)),
        32004: lambda: struct.pack(">QI", len(big), 1 << 20) + bytes(64),
    }
    with h5py.File(path, "w") as file:
        data = file.create_dataset("exchange/data", (1, 32, 32), "u2", chunks=(1, 32, 32), **filters)
        number = data.id.get_create_plist().get_filter(0)[0]
        data.id.write_direct_chunk((0, 0, 0), packed.get(number, lambda: zlib.compress(big))())
    bomb(path, "exchange/data", "cannot be decoded")


@pytest.mark.parametrize("filters", [{"compression": "lzf"}, hdf5plugin.BZip2(), hdf5plugin.Blosc2()])
@pytest.mark.parametrize("shape", [(6, 40, 40), (40, 40)])
def test_damaged_chunks_that_only_the_library_decodes(tmp_path: Path, filters, shape: tuple[int, ...]) -> None:
    """The error names the dataset and the chunk, as where we decode it ourselves."""
    path = tmp_path / "scan.h5"
    place = (3, 20, 0)[-len(shape) :]
    with h5py.File(path, "w") as file:
        pixels = np.random.default_rng(0).integers(0, 50, shape).astype("u2")
        data = file.create_dataset("exchange/data", data=pixels, chunks=(1, 20, 40)[-len(shape) :], **filters)
        chunk = data.id.get_chunk_info_by_coord(place)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xa5" * chunk.size
    path.write_bytes(content)
    bomb(path, "exchange/data: ", f"the chunk at {place} cannot be read", "the file is damaged")


def test_what_was_read_is_named_when_the_library_dies(tmp_path: Path) -> None:
    """The library of this filter ends the process."""
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        pixels = np.random.default_rng(0).random((3, 40, 40)).astype("f4")
        sz = hdf5plugin.SZ(absolute=0.1)
        data = file.create_dataset("exchange/data", data=pixels, chunks=(1, 40, 40), **sz)
        chunk = data.id.get_chunk_info_by_coord((1, 0, 0))
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xa5" * chunk.size
    path.write_bytes(content)
    bomb(path, "exchange/data: frames from 0 on: cannot be read")


def test_frames_without_counts_are_read(tmp_path: Path) -> None:
    """Constant frames of a large detector take next to no bytes."""
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        for name in ("data", "dark"):
            file.create_dataset(f"exchange/{name}", (2, 4362, 4148), "u4", chunks=(1, 4362, 4148), compression="gzip")
        file["exchange/data"][0] = 0
    assert outcome(path)[0] == "frames" and path.stat().st_size < 1 << 20
    with ArchiveWriter(tmp_path / "a.MIDAS.zip", (2, 2048, 2048), np.dtype("u2")) as writer:
        writer.add_frames(DATA, (2, 2048, 2048), np.zeros((2, 2048, 2048), "u2"))
    assert outcome(tmp_path / "a.MIDAS.zip")[0] == "frames"


def archive(path: Path, method: int = zipfile.ZIP_STORED, content: bytes = b"", **changes: object) -> Path:
    described = {
        "zarr_format": 2, "shape": [1, 32, 32], "chunks": [1, 32, 32], "dtype": "<u2", "order": "C",
        "compressor": {"id": "zlib"}, "filters": None, "fill_value": 0, **changes,
    }  # fmt: skip
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(f"{DATA}/.zarray", json.dumps(described))
        file.writestr(f"{DATA}/0.0.0", content or zlib.compress(bytes(2048)))
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": [1, 30_000, 30_000], "chunks": [1, 30_000, 30_000]}, ("[1, 30000, 30000]", "1800000000 bytes")),
        ({"shape": [1 << 40, 32, 32]}, (f"{1 << 40} frames",)),
        ({"shape": [1, 40_000, 32]}, ("40000 x 32", str(LARGEST_SIDE))),
        ({"content": zlib.compress(bytes(64 << 20))}, ("0.0.0",)),
        ({"content": bytes(64 << 20), "method": zipfile.ZIP_DEFLATED}, ("0.0.0", "67108864 bytes")),
    ],
)
def test_archives_that_claim_too_much(tmp_path: Path, changes: dict, words: tuple[str, ...]) -> None:
    bomb(archive(tmp_path / "scan.MIDAS.zip", **changes), DATA, *words)


def test_a_member_that_is_larger_than_its_directory_says(tmp_path: Path) -> None:
    path = archive(tmp_path / "scan.MIDAS.zip", zipfile.ZIP_DEFLATED, bytes(64 << 20))
    content = path.read_bytes().replace(struct.pack("<L", 64 << 20), struct.pack("<L", 2048))
    path.write_bytes(content)
    bomb(path, "0.0.0", "is damaged")


@pytest.mark.parametrize("field", [0, 1, 2])
@pytest.mark.parametrize("value", [1 << 62, 1 << 63, (1 << 64) - 1])
def test_zip64_numbers_beyond_any_file(tmp_path: Path, field: int, value: int) -> None:
    """Size, stored size and offset of a member, in the field of large numbers."""
    path = archive(tmp_path / "scan.MIDAS.zip")
    content = path.read_bytes()
    at, end = content.rindex(b"PK\1\2"), content.rindex(b"PK\5\6")
    entry = bytearray(content[at:end])
    place = (24, 20, 42)[field]
    entry[place : place + 4] = b"\xff" * 4
    struct.pack_into("<H", entry, 30, 12)
    entry += struct.pack("<2HQ", 1, 8, value)
    tail = bytearray(content[end:])
    struct.pack_into("<L", tail, 12, struct.unpack_from("<L", tail, 12)[0] + 12)
    path.write_bytes(content[:at] + entry + tail)
    with pytest.raises(MidasError, match=r"exchange/data/0\.0\.0: "), Archive(path) as opened:
        opened.frames[0]


def test_npz_that_claims_too_much(tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<u2", "fortran_order": False, "shape": (1 << 34,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in {"shape": np.array([8, 8]), "nframes": np.array(1), "dtype": np.bytes_("u2")}.items():
            stream = io.BytesIO()
            np.save(stream, value)
            file.writestr(f"{name}.npy", stream.getvalue())
        file.writestr("0_row.npy", header.getvalue() + bytes(64))
        file.writestr("0_col.npy", bytes(400 << 20))
    bomb(path, "0_row", str(1 << 34))


def test_compressed_files_that_never_end(tmp_path: Path) -> None:
    """A gzip of zeros in place of an image."""
    for name, compress in {"a.cbf.gz": gzip.compress, "a.cbf.bz2": bz2.compress}.items():
        (tmp_path / name).write_bytes(compress(b"###CBF: VERSION" + bytes(ROOM + (1 << 20)), 1))
        text, grown = outcome(tmp_path / name)
        assert text.startswith(str(tmp_path / name)) and grown < ROOM_OF_TESTS


def test_tiff_that_claims_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), "u2"), compression="zlib", rowsperstrip=64, metadata=None)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        places = {name: page.tags[name].valueoffset for name in ("ImageLength", "ImageWidth", "RowsPerStrip")}
        strip, length = page.dataoffsets[0], page.tags["StripByteCounts"].valueoffset
    for place in places.values():
        struct.pack_into("<H", content, place, 30_000)
    path.write_bytes(content)
    bomb(path, "30000 x 30000", "1800000000 bytes")
    for place in places.values():
        struct.pack_into("<H", content, place, 64)
    packed = zlib.compress(bytes(900 << 20), 1)
    struct.pack_into("<L", content, length, len(packed))
    path.write_bytes(content[:strip] + packed)
    bomb(path, "page 1", "holds more than")


@pytest.mark.parametrize("writer", ["cbf", "edf"])
def test_headers_that_claim_too_much(tmp_path: Path, writer: str) -> None:
    if writer == "cbf":
        from fabio.cbfimage import CbfImage

        CbfImage(data=np.zeros((12, 10), "i4")).write(str(tmp_path / "a.cbf"))
        change = (b"X-Binary-Size-Second-Dimension: 12", b"X-Binary-Size-Second-Dimension: 20000")
    else:
        from fabio.edfimage import EdfImage

        EdfImage(data=np.zeros((12, 10), "i4")).write(str(tmp_path / "a.edf"))
        change = (b"Dim_2 = 12", b"Dim_2 = 20000")
    path = tmp_path / f"a.{writer}"
    content = path.read_bytes()
    assert change[0] in content
    path.write_bytes(content.replace(*change))
    bomb(path, "instead of 200000" if writer == "cbf" else "bytes before the end")
