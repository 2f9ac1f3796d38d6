"""What a reader of raw frames offers, and what all of them share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.archive.zarr_array import is_pixel
from midas.runtime.errors import FormatError

#: frames that are read at once take about this much memory; small, so that the compressing threads never wait for long
BLOCK_BYTES = 8 << 20

#: pixels that an archive can hold
PIXELS = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"))


#: the number of frames of a stream that has not been read
UNKNOWN = -1


@dataclass(frozen=True)
class Reading:
    """What the user says about raw files beyond their names; each reader takes what its format does not tell.

    Parameters
    ----------
    location : dataset of the frames, in files that hold several
    header : bytes before the first frame (GE)
    pixel : type of the pixels (GE)
    rows, columns : of a frame (GE)
    scratch : folder for a decompressed copy of a file which its library must be able to jump about in; the copy is
        deleted when the reader is. None = no copy may be made
    motor : motor or key in the header of a frame that has omega; "" = the usual ones
    omega_location : dataset of the angles, in files that hold it; "" = where the format has it
    scan : number of the scan, in files of several (BLISS); "" = there is one
    links : whether what a file names as links and sources may be anywhere (HDF5); else below its folder
    channel : name or number, from 1, of the threshold, in files of several (Eiger); "" = there is one
    """

    location: str = "exchange/data"
    header: int = 8192
    pixel: np.dtype[Pixel] = np.dtype("<u2")
    rows: int = 2048
    columns: int = 2048
    scratch: Path | None = None
    motor: str = ""
    omega_location: str = ""
    scan: str = ""
    channel: str = ""
    links: bool = False


class FrameSource(Protocol):
    """One raw file. Opening it reads its sizes; the frames pass by when they are asked for.

    Attributes
    ----------
    path : the file
    shape : frames, rows along Z, columns along Y; the number of frames is `UNKNOWN` where only reading them tells
    dtype : of the pixels
    omegas : angle in degrees at which each frame begins; None where the file does not say
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Pixel]

    @property
    def omegas(self) -> NDArray[np.float64] | None: ...

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        """The frames from number `first` on, in order; `block` of them are read at once (-1: as many as is good)."""
        ...

    def masked(self) -> NDArray[np.bool_] | None:
        """(rows, columns), True where the file itself says that a pixel measures nothing; None if it says nothing."""
        ...


def made(frame: Frame) -> NDArray[Pixel]:
    """The pixels of a frame."""
    return frame() if callable(frame) else frame


def checked_pixels(dtype: np.dtype[np.generic], path: Path, location: str = "") -> np.dtype[Pixel]:
    """The type in the byte order of the archive, or an error if an archive cannot hold it."""
    if not is_pixel(dtype) or dtype.newbyteorder("=") not in PIXELS:
        names = ", ".join(pixel.name for pixel in PIXELS)
        reason = f"has pixels of type {dtype.name}; convert it to one of {names}"
        raise FormatError(reason, file=path, key=location or None)
    return dtype.newbyteorder("<")
