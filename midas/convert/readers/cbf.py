"""Images of Pilatus and Eiger detectors in CBF, one frame a file (docs/theory/archive.md#raw-files-in-cbf)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert import decompressed, frame_headers
from midas.convert.source import Reading, checked_pixels
from midas.runtime import logs
from midas.runtime.errors import FormatError, MidasError, one_line
from midas.runtime.limits import odd_size

if TYPE_CHECKING:
    from fabio.cbfimage import CbfImage

#: the headers of an image are not longer
_HEADERS = 1 << 16


class CBFFrames:
    """One image, compressed by byte offsets."""

    def __init__(self, path: Path, reading: Reading):
        self.path = path
        image = self._opened(io.BytesIO(decompressed.beginning(path, _HEADERS)))
        self.shape: tuple[int, int, int] = (1, *_shape(image, path))
        self.dtype = checked_pixels(_dtype(image, path), path)
        if reason := odd_size(self.shape, self.dtype.itemsize, path.stat().st_size):
            raise FormatError(reason, file=path)
        comments = image.header.get("_array_data.header_contents", "")  # bytes if they are not all ASCII
        text = comments.decode("latin-1") if isinstance(comments, bytes) else str(comments)
        angle = frame_headers.omega_of(frame_headers.comments(text), reading.motor, path)
        self.omegas = None if angle is None else np.array([angle])

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        return iter([partial(self._frame)][first:])

    def masked(self) -> NDArray[np.bool_] | None:
        return frame_headers.marked(self._frame())

    def _opened(self, content: io.BytesIO) -> CbfImage:
        """The headers of an image; `content` may end behind them."""
        from fabio.cbfimage import CbfImage  # only here: other formats do not wait for it

        image = CbfImage()
        try:
            binary = content.getvalue().partition(b"--CIF-BINARY-FORMAT-SECTION--")[2]
            if CbfImage.STARTER not in binary:  # the library would look for it for ever
                raise FormatError("is no CBF image, or has lost its beginning", file=self.path)
            # Under this name the library makes numbers of all comments, and fails at the first that is none.
            content = io.BytesIO(content.getvalue().replace(b"PILATUS_1.2", b"comments   ", 1))
            with logs.muted("fabio.cbfimage"):
                image.read(content, only_raw=True)
        except MidasError:
            raise
        except Exception as error:  # the library has many exceptions, the file is at fault in each
            raise FormatError(f"cannot be read as CBF ({one_line(error)})", file=self.path) from None
        return image

    def _frame(self) -> NDArray[Pixel]:
        from fabio.compression import decByteOffset

        content = decompressed.content(self.path)
        image = self._opened(content)
        method = image.header.get("conversions", "none").strip('"')
        if method != "x-CBF_BYTE_OFFSET":
            raise FormatError(f"is compressed by {method}; only x-CBF_BYTE_OFFSET is read", file=self.path)
        packed = image.cbs[image.start_binary + len(image.STARTER) :]
        if not isinstance(packed, bytes):
            raise FormatError("cannot be read as CBF (its image is text)", file=self.path)
        if _shape(image, self.path) != self.shape[1:] or _dtype(image, self.path) != self.dtype.newbyteorder("="):
            raise FormatError("has changed since it was opened", file=self.path)
        _check(image, packed, self.path)
        count = self.shape[1] * self.shape[2]
        if count > len(packed):  # every pixel takes a byte at least
            raise FormatError(f"holds at most {len(packed)} pixels instead of {count}", file=self.path)
        try:
            pixels = np.asarray(decByteOffset(packed, count, self.dtype.name))
        except Exception as error:  # as above
            raise FormatError(f"cannot be read as CBF ({one_line(error)})", file=self.path) from None
        if pixels.size != count:
            raise FormatError(f"holds {pixels.size} pixels instead of {count}", file=self.path)
        return pixels.astype(self.dtype, copy=False).reshape(self.shape[1:])


def _shape(image: CbfImage, path: Path) -> tuple[int, int]:
    names = ("X-Binary-Size-Second-Dimension", "X-Binary-Size-Fastest-Dimension")
    try:
        rows, columns = (int(image.header[name]) for name in names)
    except (KeyError, ValueError):
        raise FormatError("gives no sensible size of its image", file=path) from None
    if min(rows, columns) < 1:
        raise FormatError(f"has {rows} x {columns} pixels", file=path)
    return rows, columns


def _dtype(image: CbfImage, path: Path) -> np.dtype[np.generic]:
    """The type that the words of the header mean, such as ``signed 32-bit integer``."""
    words = image.header.get("X-Binary-Element-Type", "").split()
    sign = {"signed": "i", "unsigned": "u"}.get(words[0] if words else "")
    bits = words[1].removesuffix("-bit") if words[2:] == ["integer"] else ""
    if sign is None or bits not in ("8", "16", "32", "64"):
        raise FormatError(f"names no type of pixels: {' '.join(words)!r}", file=path, key="X-Binary-Element-Type")
    return np.dtype(f"{sign}{int(bits) // 8}")


def _check(image: CbfImage, packed: bytes, path: Path) -> None:
    """The packed pixels are all there and are those that were written; the library only logs it."""
    size = int(image.header.get("X-Binary-Size", len(packed)))
    if len(packed) < size:
        raise FormatError(f"ends after {len(packed)} of {size} bytes of its image; is it complete?", file=path)
    expected = image.header.get("Content-MD5")
    if expected:
        found = base64.b64encode(hashlib.md5(packed[:size], usedforsecurity=False).digest()).decode()
        try:
            base64.b64decode(expected, validate=True)
        except binascii.Error:
            return  # no checksum
        if found != expected:
            raise FormatError("is damaged: the checksum of its image is wrong", file=path)
