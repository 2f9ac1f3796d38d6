"""Raw files of every format of docs/inputs.md, opened and read by the readers of the conversion."""

from __future__ import annotations

import bz2
import gzip
import io
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import tifffile
from fabio.cbfimage import CbfImage
from fabio.edfimage import EdfImage

from midas.convert.mask import read_mask
from midas.convert.readers import open_source
from midas.convert.source import Reading, made

from ..harness import Target
from ..mutations import BYTES, TEXT, document, flipped, integer, mixed, number, within, word
from ..structures import hdf5_block, tiff_entry, zip_field, zip_large, zip_member
from . import archives, hdf5

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAMES = hdf5.FRAMES
_NUMBERS = count()


def ge() -> Mapping[str, bytes]:
    return {"frames": b"ADEPT".ljust(64, b"\0") + FRAMES.tobytes()}


def tiff() -> Mapping[str, bytes]:
    options: dict[str, dict[str, Any]] = {
        "plain": {}, "big": {"bigtiff": True}, "deflate": {"compression": "zlib"}, "tiles": {"tile": (16, 16)},
        "predictor": {"compression": "zlib", "predictor": True, "rowsperstrip": 2}, "lzma": {"compression": "lzma"},
        "packed": {"compression": "packbits"}, "motorola": {"byteorder": ">"}, "imagej": {"imagej": True},
        "pilatus": {"description": "# Detector: PILATUS\n# Start_angle 3.0 deg.", "metadata": None},
    }  # fmt: skip
    found = {}
    for name, option in options.items():
        stream = io.BytesIO()
        try:
            tifffile.imwrite(stream, FRAMES[:1] if name == "pilatus" else FRAMES, photometric="minisblack", **option)
        except (ImportError, KeyError, ValueError):  # without imagecodecs
            continue
        found[name] = stream.getvalue()
    return found


def _saved(image: Any, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        image.write(str(Path(folder, name)))
        return Path(folder, name).read_bytes()


def cbf() -> Mapping[str, bytes]:
    image = CbfImage(data=FRAMES[0].astype("i4"))
    lines = "# Detector: PILATUS 300K, S/N 3-0102\r\n# Start_angle 3.0 deg."
    image.header |= {"_array_data.header_convention": '"PILATUS_1.2"', "_array_data.header_contents": lines}
    return {"pilatus": _saved(image, "a.cbf"), "plain": _saved(CbfImage(data=FRAMES[0].astype("i4")), "a.cbf")}


def edf() -> Mapping[str, bytes]:
    found = {}
    for name, header in {"motors": {"motor_mne": "diffrz", "motor_pos": "1"}, "key": {"Omega": "1.0"}}.items():
        image = EdfImage(data=FRAMES[0], header=dict(header))
        image.append_frame(data=FRAMES[1], header=dict(header))
        found[name] = _saved(image, "a.edf")
    return found


def npz() -> Mapping[str, bytes]:
    content: dict[str, Any] = {"shape": FRAMES.shape[1:], "nframes": len(FRAMES), "dtype": np.bytes_("uint16")}
    content["omega"] = np.stack([np.arange(3.0), np.arange(3.0) + 1], 1)
    for i, frame in enumerate(FRAMES):
        rows, columns = np.nonzero(frame)
        content |= {f"{i}_row": rows.astype("u2"), f"{i}_col": columns.astype("u2"), f"{i}_data": frame[rows, columns]}
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, **content)
    np.savez_compressed(packed, **content)
    return {"stored": plain.getvalue(), "deflated": packed.getvalue()}


def fch5() -> Mapping[str, bytes]:
    numbers, rows, columns = np.nonzero(FRAMES)
    ends = np.searchsorted(numbers, np.arange(len(FRAMES) + 1))
    content = {
        "shape": np.array(FRAMES.shape[1:]), "nframes": len(FRAMES), "dtype": "uint16",
        "data": FRAMES[numbers, rows, columns][:, np.newaxis], "indices": np.stack([rows, columns], 1).astype("u2"),
        "frame_ids": np.stack([ends[:-1], ends[1:]], 1).ravel(), "metadata/omega": np.zeros((3, 2)),
    }  # fmt: skip

    def write(packed: bool, file: h5py.File) -> None:
        file.attrs["HEXRD_FRAMECACHE_VERSION"] = 1
        for name, values in content.items():
            options = {"compression": "gzip"} if packed and np.ndim(values) else {}
            file.create_dataset(name, data=values, **options)

    return {name: hdf5.written(partial(write, name == "packed")) for name in ("plain", "packed")}


#: frames in HDF5, in layouts that the other corpus lacks: name -> options of the dataset
_LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks of all": {"chunks": (3, 6, 8)}, "beyond": {"chunks": (2, 4, 5), "compression": "gzip"},
    "szip": {"chunks": (1, 6, 8), **hdf5plugin.SZ3(absolute=0)}, "blosc2": {"chunks": (1, 6, 8), **hdf5plugin.Blosc2()},
    "lzf": {"chunks": (1, 6, 8), "compression": "lzf"}, "offset": {"chunks": (1, 6, 8), "scaleoffset": 0},
}  # fmt: skip


def layouts() -> Mapping[str, bytes]:
    found = dict(hdf5.corpus())
    for name, options in _LAYOUTS.items():
        data = FRAMES.astype("f4") if name == "szip" else FRAMES

        def write(file: h5py.File, data: np.ndarray = data, options: dict[str, Any] = options) -> None:
            file.create_dataset("exchange/data", data=data, **options)

        found[name] = hdf5.written(write)
    four = FRAMES[:, np.newaxis].repeat(2, 1)
    found["channels"] = hdf5.written(lambda file: file.create_dataset("exchange/data", data=four[:, :1]))
    return found


def mask() -> Mapping[str, bytes]:
    plain, bits = io.BytesIO(), io.BytesIO()
    tifffile.imwrite(plain, (FRAMES[0] > 30).astype("u1"))
    tifffile.imwrite(bits, FRAMES[0] > 30)
    return {"bytes": plain.getvalue(), "bits": bits.getvalue()}


def compressed(suffix: str) -> Mapping[str, bytes]:
    compress: Callable[[bytes], bytes] = {".bz2": bz2.compress, ".gz": gzip.compress, ".zst": zstd.compress}[suffix]
    return {"ge": compress(ge()["frames"])}


def read(name: str, data: bytes, folder: Path) -> None:
    """Open a file, and read what the conversion reads of it."""
    path = folder / f"scan{next(_NUMBERS):06d}{name}"
    path.write_bytes(data)
    reading = Reading(header=64, rows=6, columns=8, scratch=folder)
    source = open_source(path, reading, announce=True)
    source.omegas  # noqa: B018
    source.masked()
    for frame in islice(source.frames(), 3):
        made(frame)


def read_as_mask(data: bytes, folder: Path) -> None:
    (folder / "mask.tif").write_bytes(data)
    read_mask(folder / "mask.tif", (6, 8), np.dtype("u2"))


_HEADER = ((4, within(0, 2048, number)), (3, within(0, 2048, word)), (2, within(0, 2048, integer)), *BYTES, *TEXT)
_MEMBERS = {".npy": lambda d, r: r.choice((within(0, 128, number), within(0, 128, word), integer, flipped))(d, r)}
_ARRAYS = (*BYTES, (10, zip_member({**_MEMBERS, "": integer})), (4, zip_field), (2, zip_large))
_ARCHIVE = (*BYTES, (12, zip_member({".zarray": document, "": integer})), (4, zip_field), (2, zip_large))
_PAGES = (*BYTES, (14, tiff_entry))
_BLOCKS = (*BYTES, (10, hdf5_block))


def _target(name: str, corpus: Callable[[], Mapping[str, bytes]], steps: Any, contained: bool = False) -> Target:
    ending = {"hdf5": "h5", "archive": "MIDAS.zip"}.get(name, name)
    return Target(f"raw:{name}", partial(read, f".{ending}"), corpus, mixed(steps), contained=contained)


TARGETS = (
    _target("ge3", ge, BYTES),
    _target("tif", tiff, _PAGES),
    _target("cbf", cbf, _HEADER),
    _target("edf", edf, _HEADER),
    _target("hdf5", layouts, _BLOCKS, contained=True),
    _target("fch5", fch5, _BLOCKS, contained=True),
    _target("archive", archives.corpus, _ARCHIVE),
    _target("ge3.gz", partial(compressed, ".gz"), BYTES),
    _target("ge3.bz2", partial(compressed, ".bz2"), BYTES),
    _target("ge3.zst", partial(compressed, ".zst"), BYTES),
    Target("npz", partial(read, ".npz"), npz, mixed(_ARRAYS)),
    Target("raw:mask", read_as_mask, mask, mixed(_PAGES), contained=True),
)
