"""Pixels of HDF5 files, however they are stored: types, byte orders, chunks, filters; and what damage does."""

from __future__ import annotations

import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from midas.convert.readers import hdf5_chunks
from midas.convert.readers.hdf5 import HDF5Frames
from midas.convert.readers.hdf5_filters import decoder
from midas.convert.source import Reading
from midas.runtime.errors import FormatError

from .hdf5_files import read
from .raw_files import pixels, write_hdf5

SHAPE = (7, 24, 20)
DTYPES = [order + name for name in ("u2", "i2", "u4", "i4", "f4", "f8") for order in "<>"] + ["u1", "i1"]
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "gzip and shuffle": {"compression": "gzip", "shuffle": True},
    "shuffle": {"shuffle": True},
    "bitshuffle-lz4": {**hdf5plugin.Bitshuffle()},
    "bitshuffle-zstd": {**hdf5plugin.Bitshuffle(cname="zstd")},
    "lz4": {**hdf5plugin.LZ4()},
    "zstd": {**hdf5plugin.Zstd()},
    "blosc": {**hdf5plugin.Blosc()},
}
#: these the HDF5 library decodes
OTHERS: dict[str, dict[str, Any]] = {
    "lzf": {"compression": "lzf"},
    "checksums": {"compression": "gzip", "fletcher32": True},
    "bitshuffle alone": {**hdf5plugin.Bitshuffle(cname="none")},
    "blosc2": {**hdf5plugin.Blosc2()},
}


def frames_of(dtype: str = "<u2", shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return pixels(shape, dtype=dtype, high=100) - np.array(50 if dtype[-2] in "if" else 0, dtype)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_and_filter(tmp_path: Path, dtype: str, name: str) -> None:
    frames = frames_of(dtype)
    path = write_hdf5(tmp_path / "scan.h5", frames, chunks=(1, *SHAPE[1:]), **FILTERS[name])
    with h5py.File(path) as file:
        assert decoder(file["exchange/data"]) is not None
    np.testing.assert_array_equal(read(path), frames)
    assert HDF5Frames(path, Reading()).dtype == np.dtype(dtype).newbyteorder("<")


@pytest.mark.parametrize("name", ["gzip and shuffle", "bitshuffle-lz4", "lz4"])
@pytest.mark.parametrize("chunks", [(3, 24, 20), (1, 8, 10), (2, 24, 7), (7, 5, 20), (7, 24, 20)])
def test_chunks_of_several_frames_and_of_parts_of_frames(tmp_path: Path, chunks: tuple[int, ...], name: str) -> None:
    frames = frames_of()
    path = write_hdf5(tmp_path / "scan.h5", frames, chunks=chunks, **FILTERS[name])
    for first in (0, 1, 4, 6):
        np.testing.assert_array_equal(read(path, first), frames[first:])


@pytest.mark.parametrize("name", OTHERS)
def test_other_filters_are_left_to_the_library(tmp_path: Path, name: str) -> None:
    frames = frames_of()
    path = write_hdf5(tmp_path / "scan.h5", frames, chunks=(2, *SHAPE[1:]), **OTHERS[name])
    with h5py.File(path) as file:
        assert decoder(file["exchange/data"]) is None
    for block in (-1, 1, 3):
        np.testing.assert_array_equal(read(path, 1, block), frames[1:])


def test_blocks_that_did_not_shrink(tmp_path: Path) -> None:
    """Noise is larger when it is compressed, and the LZ4 filter then stores it plain."""
    frames = np.random.default_rng(4).integers(0, 1 << 16, (2, 96, 100)).astype("u2")
    for name in ("bitshuffle-lz4", "bitshuffle-zstd", "lz4"):
        path = write_hdf5(tmp_path / "scan.h5", frames, chunks=(1, 96, 100), **FILTERS[name])
        np.testing.assert_array_equal(read(path), frames)


def test_a_compressed_block_of_the_size_of_the_plain_one(tmp_path: Path) -> None:
    """Other formats would take such a block for a plain one. Here one is made by the rules of LZ4."""
    literals = np.random.default_rng(4).integers(0, 256, 12 + 8143).astype("u1").tobytes()
    first = bytes([12 << 4 | 15]) + literals[:12] + struct.pack("<H", 12) + bytes([37 - 4 - 15])
    block = first + bytes([15 << 4]) + 31 * b"\xff" + bytes([8143 - 15 - 31 * 255]) + literals[12:]
    assert len(block) == 12 + 37 + 8143 == 8192
    path = write_hdf5(tmp_path / "scan.h5", pixels((1, 64, 64)), chunks=(1, 64, 64), **FILTERS["bitshuffle-lz4"])
    with h5py.File(path, "r+") as file:
        data = file["exchange/data"]
        data.id.write_direct_chunk((0, 0, 0), struct.pack(">QII", 8192, 8192, 8192) + block)
        expected = data[()]
    np.testing.assert_array_equal(read(path), expected)


def test_chunks_stored_in_another_way_than_the_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without its filter, or never written."""
    frames = frames_of()
    path = write_hdf5(tmp_path / "scan.h5", None)
    with h5py.File(path, "w") as file:
        options = {"chunks": (1, *SHAPE[1:]), "compression": "gzip", "shuffle": True, "fillvalue": 7}
        data = file.create_dataset("exchange/data", SHAPE, "<u2", **options)
        data[:3] = frames[:3]
        data.id.write_direct_chunk((3, 0, 0), zlib.compress(frames[3].tobytes()), filter_mask=1)
        data.id.write_direct_chunk((4, 0, 0), frames[4].tobytes(), filter_mask=3)
    np.testing.assert_array_equal(read(path), np.concatenate([frames[:5], np.full_like(frames[5:], 7)]))
    assert "2 of its chunks were never written" in caplog.text


def test_a_chunk_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By any number of threads that want its frames at the same time."""
    frames = frames_of(shape=(40, 24, 20))
    path = write_hdf5(tmp_path / "scan.h5", frames, chunks=(8, 12, 20), compression="gzip")
    decoded = []
    decode = hdf5_chunks._ChunkReader._made

    def counted(self: object, raw: bytes, left_out: int, start: tuple[int, int, int]) -> np.ndarray:
        decoded.append(start)
        return decode(self, raw, left_out, start)

    monkeypatch.setattr(hdf5_chunks._ChunkReader, "_made", counted)
    made = list(HDF5Frames(path, Reading()).frames())
    barrier = threading.Barrier(8)

    def wanted(number: int) -> np.ndarray:
        barrier.wait()
        return made[number]()

    with ThreadPoolExecutor(8) as pool:
        np.testing.assert_array_equal(np.stack(list(pool.map(wanted, range(40)))), frames)
    assert sorted(decoded) == [(frame, row, 0) for frame in range(0, 40, 8) for row in (0, 12)]


def test_layers_of_chunks_too_large_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of()
    path = write_hdf5(tmp_path / "scan.h5", frames, chunks=(7, 8, 20), compression="gzip")
    for limit in (3 * frames[0].nbytes, 1):  # decoded in parts; and left to the library
        monkeypatch.setattr(hdf5_chunks, "_SHARED_BYTES", limit)
        np.testing.assert_array_equal(read(path), frames)


def test_a_single_image_and_several_channels(tmp_path: Path) -> None:
    frames = frames_of(shape=(3, 2, 24, 20))
    for chunks in ((1, 1, 24, 20), (3, 2, 24, 20), (2, 1, 12, 20)):
        path = write_hdf5(tmp_path / "scan.h5", frames, chunks=chunks, compression="gzip")
        np.testing.assert_array_equal(read(path, channel="2"), frames[:, 1])
    path = write_hdf5(tmp_path / "scan.h5", frames[0, 0], compression="gzip")
    np.testing.assert_array_equal(read(path), frames[:1, 0])


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in ("none", "shuffle")])
def test_damaged_chunks(tmp_path: Path, name: str) -> None:
    """One line that names file, dataset and chunk; never pixels that are not those of the file."""
    frames = frames_of(shape=(3, 64, 64))
    path = write_hdf5(tmp_path / "scan.h5", frames, chunks=(1, 64, 64), **FILTERS[name])
    with h5py.File(path, "r+") as file:
        data = file["exchange/data"]
        raw = data.id.read_direct_chunk((1, 0, 0))[1]
        for content in (raw[: len(raw) // 2], b"\0", raw[:12], bytes(len(raw))):
            data.id.write_direct_chunk((1, 0, 0), content)
            file.flush()
            made = list(HDF5Frames(path, Reading()).frames())
            np.testing.assert_array_equal(made[0](), frames[0])
            with pytest.raises(FormatError, match=r"scan\.h5: exchange/data: the chunk at \(1, 0, 0\)") as caught:
                made[1]()
            assert "\n" not in str(caught.value)


def test_damage_in_a_chunk_of_several_frames(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "scan.h5", frames_of(), chunks=(4, 24, 20), compression="gzip")
    with h5py.File(path, "r+") as file:
        file["exchange/data"].id.write_direct_chunk((0, 0, 0), b"nothing")
    made = list(HDF5Frames(path, Reading()).frames())
    for frame in made[:4]:
        with pytest.raises(FormatError, match="cannot be decoded"):
            frame()
    np.testing.assert_array_equal(made[4](), frames_of()[4])
