"""Frames that lie in a file as they lie in memory; any number of threads reads them at once.

See docs/theory/archive.md#raw-files-of-bare-pixels.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.runtime.errors import FormatError


@dataclass(frozen=True)
class RawPixels:
    """Where the pixels of a frame are, and what they are.

    Parameters
    ----------
    path : the file that is read, which may be a decompressed copy
    named : the file of the user, for messages
    shape : rows, columns
    dtype : in the byte order of the file
    """

    path: Path
    named: Path
    shape: tuple[int, int]
    dtype: np.dtype[Pixel]

    @property
    def frame_bytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def frame(self, offset: int) -> NDArray[Pixel]:
        """The frame that begins at a byte of the file."""
        try:
            with open(self.path, "rb", buffering=0) as stream:
                stream.seek(offset)
                pixels, count = self.read(stream)
        except OSError as error:
            raise FormatError(f"cannot be read ({error.strerror})", file=self.named) from None
        if count < self.frame_bytes:
            reason = f"ends {self.frame_bytes - count} bytes before the end of a frame; is it complete?"
            raise FormatError(reason, file=self.named)
        return pixels

    def read(self, stream: IO[bytes]) -> tuple[NDArray[Pixel], int]:
        """The frame at the place of a stream, in the machine's byte order, and how many of its bytes there were."""
        pixels = np.empty(self.shape, self.dtype)
        buffer = pixels.reshape(-1).view(np.uint8)
        done = 0
        while done < len(buffer) and (more := stream.readinto(buffer[done:])):  # type: ignore[attr-defined]  # it has
            done += more
        if self.dtype.itemsize > 1 and self.dtype.byteorder not in ("=", "<" if sys.byteorder == "little" else ">"):
            pixels = pixels.byteswap(inplace=True).view(self.dtype.newbyteorder("="))
        return pixels, done
