"""TIFF images: one frame a file, or a page a frame (docs/theory/archive.md#raw-files-in-tiff)."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert import decompressed, frame_headers
from midas.convert.raw_pixels import RawPixels
from midas.convert.source import Reading, checked_pixels, made
from midas.runtime import logs
from midas.runtime.apart import stream
from midas.runtime.errors import FormatError, MidasError, one_line
from midas.runtime.limits import ROOM, odd_size, too_large

#: how many bytes a method of compression makes of one at most
_RATIOS = {"ADOBE_DEFLATE": 1032, "DEFLATE": 1032, "PACKBITS": 64}
#: methods whose output is known before it is made; the others work in a process of their own
_BOUNDED = ("NONE", "LZMA", *_RATIOS)
#: bytes behind the last image that are no image: lists of pages, notes of the program that wrote it
_TRAILER = 1 << 16


class TIFFFrames:
    """The pages of a file, all of one size and type. Uncompressed pages are read without the library."""

    def __init__(self, path: Path, reading: Reading):
        self.path = path
        self._file: Path | None = None  # where the content is; None: decompressed for every use, since it is one frame
        image = decompressed.small(path)
        if image is None:
            self._file = decompressed.seekable(path, reading.scratch, self)
        with opened(self._file or image or path, path) as file:
            self._read_pages(file)
            angle = frame_headers.omega_of(self._header, reading.motor, path) if self.shape[0] == 1 else None
        if self._file is None and self.shape[0] > 1:
            self._file = decompressed.seekable(path, reading.scratch, self, image)
        self.omegas = None if angle is None else np.array([angle])

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        if not self._bounded:
            yield from stream(lambda: map(self._page, range(first, self.shape[0])), self.path)
            return
        for number in range(first, self.shape[0]):
            if self._raw is not None and self._file is not None:
                pixels = RawPixels(self._file, self.path, self.shape[1:], self._raw)
                yield partial(pixels.frame, self._places[number])
            else:
                yield partial(self._page, number)

    def masked(self) -> NDArray[np.bool_] | None:
        """Marked pixels of the first page, if a photon counter has written it."""
        if self.dtype.kind == "f" or not frame_headers.counts_photons(self._text):
            return None
        return frame_headers.marked(made(next(iter(self.frames()))))

    def _read_pages(self, file: tifffile.TiffFile) -> None:
        """Sizes, type, and where the pages or their pixels are."""
        first = file.pages.first
        size = file.filehandle.size
        self._text = f"{first.description} {_tag(first, 'Model')}"
        self._header = frame_headers.comments(first.description)
        self._pages: list[int] = []
        places: list[int | None] = []
        known, end = [], 0
        for number in range(len(file.pages)):
            page = file.pages[number]
            known.append(page.offset)
            assert isinstance(page, tifffile.TiffPage)  # frames of the library are abbreviated pages, not asked for
            if page.is_reduced:  # a small picture of another page
                continue
            if reason := unfit(page) or _differs(page, first) or incomplete(page, size):
                raise FormatError(f"page {number + 1} {reason}" if number else reason, file=self.path)
            self._pages.append(page.offset)
            places.append(page.dataoffsets[0] if page.is_contiguous else None)
            end = max(end, *(a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)))
        assert first.dtype is not None  # as `unfit` has seen
        self.dtype = checked_pixels(first.dtype, self.path)
        if reason := too_much(first, size):
            raise FormatError(reason, file=self.path)
        places += self._unlisted(file, len(places))
        if reason := cut_off(file, known) or _left_over(file, first, len(places), end):
            raise FormatError(reason, file=self.path)
        self._bounded = getattr(first.compression, "name", "") in _BOUNDED
        plain = None not in places and first.compression == 1 and first.bitspersample == 8 * first.dtype.itemsize
        self._raw: np.dtype[Pixel] | None = self.dtype.newbyteorder(file.byteorder) if plain else None
        self._places = [place for place in places if place is not None]
        self.shape: tuple[int, int, int] = (len(places), first.shape[0], first.shape[1])

    def _unlisted(self, file: tifffile.TiffFile, count: int) -> Iterator[int]:
        """Further images behind the only page, which ImageJ writes without pages of their own."""
        series = file.series[0] if file.is_imagej and count == 1 else None
        if series is None or series.dataoffset is None or series.size <= np.prod(file.pages.first.shape):
            return
        frame_bytes = int(np.prod(series.shape[-2:])) * self.dtype.itemsize
        for number in range(1, series.size * self.dtype.itemsize // frame_bytes):
            place = series.dataoffset + number * frame_bytes
            if place + frame_bytes > file.filehandle.size:
                raise FormatError(f"ends in image {number + 1}; is it complete?", file=self.path)
            yield place

    def _page(self, number: int) -> NDArray[Pixel]:
        """A page as the library decodes it; every call has a file of its own, so that threads are in nobody's way."""
        with opened(self._file or decompressed.content(self.path), self.path) as file:
            file.filehandle.seek(self._pages[number])
            page = tifffile.TiffPage(file, index=number)
            if reason := overflowing(page, file.filehandle):
                raise FormatError(f"page {number + 1} {reason}", file=self.path)
            return np.asarray(page.asarray(maxworkers=1), self.dtype)


@contextmanager
def opened(content: Path | io.BytesIO, path: Path) -> Iterator[tifffile.TiffFile]:
    """The file, with the library's errors as errors about `path`; what it logs is in the error, or does not matter."""
    try:
        with logs.muted("tifffile"), tifffile.TiffFile(content) as file:
            yield file
    except MidasError:
        raise
    except Exception as error:  # the library has many exceptions, the file is at fault in each
        raise FormatError(f"cannot be read as TIFF ({one_line(error)})", file=path) from None


def unfit(page: tifffile.TiffPage) -> str:
    """What keeps a page from being one grey image that can be decoded; its pixels are not read yet."""
    sizes = (page.samplesperpixel, *page.shape)
    # damage can turn one number into many
    if len(sizes) < 3 or not all(isinstance(size, int) and size > 0 for size in sizes):
        return "gives no sensible size of its image; copy or save it again"
    if page.samplesperpixel != 1:
        return f"is a colour image ({page.samplesperpixel} values per pixel); save it as grey image"
    if page.ndim != 2:
        return f"is a volume of {' x '.join(map(str, page.shape))} values, no image"
    if page.dtype is None or page.dtype.kind not in "biuf":
        return f"has pixels of type {page.dtype or 'unknown'}; save it as whole numbers"
    if page.compression not in tifffile.TIFF.DECOMPRESSORS:
        name = getattr(page.compression, "name", page.compression)
        return (
            f"is compressed by {name}, which needs the package imagecodecs: "
            "pip install imagecodecs, or save it uncompressed or as Deflate"
        )
    return ""


def too_much(page: tifffile.TiffPage, size: int) -> str:
    """What is wrong when a page, or one of its tiles, needs more memory than a file of `size` bytes may ask for."""
    assert page.dtype is not None  # as `unfit` has seen
    tile = prod(page.chunks) if page.chunks else 0
    reason = odd_size((1, *page.shape), page.dtype.itemsize, size) or too_large(tile * page.dtype.itemsize, size)
    if reason and not reason.startswith("has"):
        return f"has tiles or strips of {' x '.join(map(str, page.chunks))} pixels, of which each {reason}"
    return reason


def incomplete(page: tifffile.TiffPage, size: int) -> str:
    """What is wrong when parts are not in the file: without offset or length the library takes them for valid, 0."""
    parts = zip(page.dataoffsets, page.databytecounts, strict=True)
    if not page.dataoffsets or any(not offset or not count or offset + count > size for offset, count in parts):
        return "is incomplete; copy or save it again"
    return ""


def overflowing(page: tifffile.TiffPage, content: tifffile.FileHandle) -> str:
    """What is wrong when a compressed part holds more than its pixels: the library would decompress all of it.

    Only parts that could fill the memory are looked at; no library is known to be asked how much a stream holds.
    """
    largest = prod(page.chunks) * 8 + _TRAILER
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        name = getattr(page.compression, "name", "")
        ratio = _RATIOS.get(name)
        if name == "NONE" or (ratio is not None and length * ratio <= 2 * ROOM):
            continue
        content.seek(offset)
        raw = content.read(length)
        if name in ("ADOBE_DEFLATE", "DEFLATE"):
            found = len(zlib.decompressobj().decompress(raw, largest + 1))
        elif name == "LZMA":
            found = len(lzma.LZMADecompressor(memlimit=2 * ROOM).decompress(raw, largest + 1))
        else:
            continue  # in a process of its own, with a limit
        if found > largest:
            return f"is damaged: a part of {length} bytes holds more than the {largest} that its pixels can take"
    return ""


def cut_off(file: tifffile.TiffFile, known: list[int]) -> str:
    """What is wrong when the last of the known pages leads to one that is not there: the library takes it for the end.

    Parameters
    ----------
    known : where the pages are, in order
    """
    layout, handle = file.tiff, file.filehandle
    handle.seek(known[-1])
    tags = int.from_bytes(handle.read(layout.tagnosize), "little" if file.byteorder == "<" else "big")
    handle.seek(known[-1] + layout.tagnosize + tags * layout.tagsize)
    following = int.from_bytes(handle.read(layout.offsetsize), "little" if file.byteorder == "<" else "big")
    if following == 0 or following in known:
        return ""
    beyond = "beyond its end" if following >= handle.size else "which cannot be read"
    return (
        f"is incomplete: page {len(known) + 1} should be at byte {following}, {beyond} (the file has {handle.size} "
        "bytes); copy or save it again"
    )


def _left_over(file: tifffile.TiffFile, first: tifffile.TiffPage, count: int, end: int) -> str:
    """What is wrong when the file announces more images than it has pages, or has room for more behind the last one.

    Parameters
    ----------
    count : images that are known
    end : of the last one, bytes
    """
    announced = _announced(file)
    if announced > count:
        return f"is incomplete: its description announces {announced} images, {count} can be found"
    assert first.dtype is not None
    spare, frame_bytes = file.filehandle.size - end, int(np.prod(first.shape)) * first.dtype.itemsize
    if first.compression == 1 and not file.is_imagej and spare >= frame_bytes + _TRAILER:
        return (
            f"has {spare} bytes behind the last of its {count} images, room for {spare // frame_bytes} more that no "
            "page lists; copy or save it again"
        )
    return ""


def _announced(file: tifffile.TiffFile) -> int:
    """Images by the description of tifffile or ImageJ; 0 if there is none."""
    if file.is_imagej:
        images = (file.imagej_metadata or {}).get("images", 0)
        return images if isinstance(images, int) else 0
    if file.is_shaped:
        shapes = [entry.get("shape", ()) for entry in file.shaped_metadata or ()]
        return sum(int(np.prod(shape[:-2])) for shape in shapes if len(shape) > 2)
    return 0


def _differs(page: tifffile.TiffPage, first: tifffile.TiffPage) -> str:
    if (page.shape, page.dtype) == (first.shape, first.dtype):
        return ""
    return f"has {page.shape} pixels of type {page.dtype}, the first one {first.shape} of type {first.dtype}"


def _tag(page: tifffile.TiffPage, name: str) -> str:
    tag = page.tags.get(name)
    return "" if tag is None else str(tag.value)
