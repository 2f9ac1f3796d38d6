"""Small raw files and the parameters to convert them with."""

from __future__ import annotations

import bz2
import gzip
import io
import sys
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from fabio.cbfimage import CbfImage
from fabio.edfimage import EdfImage

#: not square, so that no reader can mix up rows and columns
SHAPE = (4, 12, 10)
#: of the compressions, and none
SUFFIXES = ["", ".bz2", ".gz", ".zst"]
BASE = """
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
BC 5 6
px 200
RhoD 204800
RingThresh 1 80
OmegaFirstFile 10
OmegaStep -0.25
"""


def pixels(shape: tuple[int, ...] = SHAPE, seed: int = 0, dtype: str = "<u2", high: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def write_hdf5(path: Path, frames: np.ndarray | None, dark: np.ndarray | None = None, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        if frames is not None:
            file.create_dataset("exchange/data", data=frames, **options)
        if dark is not None:
            file.create_dataset("exchange/dark", data=dark)
    return path


def write_sparse(
    path: Path, frames: np.ndarray, omegas: np.ndarray | None = None, *, plain: bool = False, **changes: Any
) -> Path:
    content: dict[str, Any] = {"shape": frames.shape[1:], "nframes": len(frames), "dtype": np.bytes_(frames.dtype.name)}
    for i, frame in enumerate(frames):
        rows, columns = np.nonzero(frame)
        content |= {f"{i}_row": rows.astype("u2"), f"{i}_col": columns.astype("u2"), f"{i}_data": frame[rows, columns]}
    if omegas is not None:
        step = omegas[1] - omegas[0] if len(omegas) > 1 else 1.0
        content["omega"] = np.stack([omegas, omegas + step], 1)
    content |= changes
    save = np.savez if plain else np.savez_compressed
    save(path, **{name: value for name, value in content.items() if value is not None})
    return path


def all_of(stack: Any) -> np.ndarray:
    return np.stack(list(stack))


def compressed(path: Path, content: bytes) -> Path:
    """Write what the name says: compressed by the library of the format, or as it is."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options = {zstd.CompressionParameter.checksum_flag: 1}  # as the program zstd
    compress = {
        ".bz2": partial(bz2.compress, compresslevel=1),
        ".gz": partial(gzip.compress, compresslevel=1),
        ".zst": partial(zstd.compress, options=options),
    }
    path.write_bytes(compress.get(path.suffix, bytes)(content))
    return path


def ge(path: Path, frames: np.ndarray, header: int = 8192) -> Path:
    """As numpy writes it, behind the header of a detector."""
    return compressed(path, b"ADEPT".ljust(header, b"\0")[:header] + frames.tobytes())


def tiff(path: Path, frames: np.ndarray, **options: object) -> Path:
    """Pages as tifffile writes them, a page a frame."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, frames, photometric="minisblack", **options)
    return compressed(path, stream.getvalue())


def cbf(path: Path, frame: np.ndarray, *lines: str) -> Path:
    """As fabio writes it, with comments in the way of Pilatus."""
    image = CbfImage(data=frame)
    text = "\r\n".join(["# Detector: PILATUS 300K, S/N 3-0102", *(f"# {line}" for line in lines)])
    image.header |= {"_array_data.header_convention": '"PILATUS_1.2"', "_array_data.header_contents": text}
    plain = path.parent / "plain.cbf.tmp"
    image.write(str(plain))
    compressed(path, plain.read_bytes())
    plain.unlink()
    return path


def edf(path: Path, frames: np.ndarray, headers: list[dict[str, str]] | None = None) -> Path:
    """As fabio writes it: a header before each frame."""
    headers = headers or [{} for _ in frames]
    image = EdfImage(data=frames[0], header=dict(headers[0]))
    for frame, header in zip(frames[1:], headers[1:], strict=True):
        image.append_frame(data=frame, header=dict(header))
    plain = path.parent / "plain.edf.tmp"
    image.write(str(plain))
    compressed(path, plain.read_bytes())
    plain.unlink()
    return path


def only_the_raw_files(folder: Path, *raw: Path) -> None:
    """Nothing was written beside the user's files, and nothing but the archive into the results."""
    assert sorted(p.name for p in folder.iterdir()) == sorted(["out", "ps.txt", *(path.name for path in raw)])
    assert len([path for path in (folder / "out").iterdir() if path.is_file()]) == 1
