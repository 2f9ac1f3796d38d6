"""EDF images, one or many frames a file, under any name (docs/theory/archive.md#raw-files-in-edf)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert import decompressed, frame_headers
from midas.convert.raw_pixels import RawPixels
from midas.convert.source import Reading, checked_pixels
from midas.runtime import logs
from midas.runtime.errors import FormatError, MidasError, one_line
from midas.runtime.limits import odd_size

if TYPE_CHECKING:
    from fabio.edfimage import EdfFrame, EdfImage


_DIMENSION = re.compile(r"DIM_\d+")


class EDFFrames:
    """The frames of a file, all of one size and type. fabio reads the headers; pixels are read where they lie."""

    def __init__(self, path: Path, reading: Reading):
        self.path = path
        self._file: Path | None = None  # where the content is; None: decompressed for every use, since it is one frame
        image = decompressed.small(path)
        if image is None:
            self._file = decompressed.seekable(path, reading.scratch, self)
        with decompressed.opened(self._file or path) if image is None else nullcontext(image) as content:
            self._read_headers(content, reading)
        if self._file is None and self.shape[0] > 1:
            self._file = decompressed.seekable(path, reading.scratch, self, image)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        return (partial(self._frame, place) for place in self._places[first:])

    def masked(self) -> NDArray[np.bool_] | None:
        """Marked pixels of the first frame, if a photon counter has written it."""
        if self.dtype.kind == "f" or not self._counts_photons:
            return None
        return frame_headers.marked(self._frame(self._places[0]))

    def _frame(self, place: int) -> NDArray[Pixel]:
        if self._file is not None:
            return RawPixels(self._file, self.path, self.shape[1:], self._raw).frame(place)
        content = decompressed.content(self.path)
        content.seek(place)
        pixels, count = RawPixels(self.path, self.path, self.shape[1:], self._raw).read(content)
        if count < pixels.nbytes:
            raise FormatError("has changed since it was opened", file=self.path)
        return pixels

    def _read_headers(self, content: io.BufferedReader | io.BytesIO, reading: Reading) -> None:
        """Sizes, type, angles, and where the pixels are."""
        image = _checking()()
        try:
            with logs.muted("fabio.edfimage"):
                image.read(content)
            frames = image._frames
            self._check(frames, content.seek(0, io.SEEK_END), image.incomplete_file)
            first = frames[0]
            self._places = [frame.start for frame in frames]
            self.dtype = checked_pixels(np.dtype(first.dtype), self.path)
            self._raw = _stored(first, self.dtype)
            self.shape: tuple[int, int, int] = (len(frames), *first.shape)
            if reason := odd_size(self.shape, self.dtype.itemsize, self.path.stat().st_size):
                raise FormatError(reason)
            self._counts_photons = frame_headers.counts_photons(" ".join(map(str, first.header.values())))
            angles = [frame_headers.omega_of(frame.header, reading.motor, self.path) for frame in frames]
            known = [angle for angle in angles if angle is not None]
            self.omegas = np.array(known) if len(known) == len(frames) else None
            self.misfit = f"{len(known)} of {len(frames)} frames have an angle" if 0 < len(known) < len(frames) else ""
        except MidasError as error:
            raise type(error)(error.reason, file=self.path, key=error.key) from None
        except Exception as error:  # the library has many exceptions, the file is at fault in each
            raise FormatError(f"cannot be read as EDF ({one_line(error)})", file=self.path) from None

    def _check(self, frames: list[EdfFrame], size: int, cut: bool) -> None:
        """Every frame is complete, uncompressed, and like the first one."""
        first = frames[0]
        for number, frame in enumerate(frames, 1):
            if len(frame.shape) != 2 or min(frame.shape) < 1:
                raise FormatError(f"frame {number} has no shape of rows and columns")
            if (frame.shape, frame.dtype) != (first.shape, first.dtype) or _order(frame) != _order(first):
                raise FormatError(f"frame {number} has another size or type than the first one")
            method = frame.header.get("Compression", frame.header.get("COMPRESSION", "none"))
            if not method.lower().startswith("no") or "EDF_BinaryFileName" in frame.header:
                raise FormatError(f"frame {number} is compressed inside the file ({method}), or in another file")
            end = frame.start + frame.shape[0] * frame.shape[1] * np.dtype(frame.dtype).itemsize
            if end > size:
                raise FormatError(f"ends {end - size} bytes before the end of frame {number}; is it complete?")
        if cut:
            raise FormatError(f"ends in the middle of the header after frame {len(frames)}; is it complete?")


@cache
def _checking() -> type[EdfImage]:
    """The library's reader, which looks at each header before it believes it."""
    from fabio.edfimage import EdfImage  # only here: other formats do not wait for it

    class Checking(EdfImage):  # type: ignore[misc]  # the library has no types
        @staticmethod
        def _read_header_block(infile: IO[bytes], frame_id: int) -> Any:
            block = EdfImage._read_header_block(infile, frame_id)
            keys = {str(key).upper(): str(value) for key, value in (block.header or {}).items()}
            for key in keys:
                if _DIMENSION.fullmatch(key) and key[4:] not in "123456789":  # the library counts up to the number
                    raise FormatError(f"frame {frame_id + 1} has the key {key}; an image has two dimensions")
            sizes = [keys.get("EDF_BINARYSIZE", "0"), keys.get("SIZE", "0")]
            if (block.binary_size or 0) < 0 or any(size.strip().startswith("-") for size in sizes):
                raise FormatError(f"frame {frame_id + 1} has a negative size")
            return block

    return Checking


def _order(frame: EdfFrame) -> str:
    return next((str(value) for key, value in frame.header.items() if key.upper() == "BYTEORDER"), "")


def _stored(frame: EdfFrame, dtype: np.dtype[Pixel]) -> np.dtype[Pixel]:
    """The type in the byte order of the file."""
    return dtype.newbyteorder(">" if "High" in _order(frame) else "<")
