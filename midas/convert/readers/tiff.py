"""TIFF images: one frame a file, or a page a frame (docs/theory/archive.md#raw-files-in-tiff)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert import decompressed, frame_headers
from midas.convert.raw_pixels import RawPixels
from midas.convert.source import Reading, checked_pixels
from midas.runtime import logs
from midas.runtime.errors import FormatError, MidasError, one_line


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
        return frame_headers.marked(self._page(0))

    def _read_pages(self, file: tifffile.TiffFile) -> None:
        """Sizes, type, and where the pages or their pixels are."""
        first = file.pages.first
        size = file.filehandle.size
        self._text = f"{first.description} {_tag(first, 'Model')}"
        self._header = frame_headers.comments(first.description)
        self._pages: list[int] = []
        places: list[int | None] = []
        for number in range(len(file.pages)):
            page = file.pages[number]
            assert isinstance(page, tifffile.TiffPage)  # frames of the library are abbreviated pages, not asked for
            if page.is_reduced:  # a small picture of another page
                continue
            if reason := unfit(page) or _differs(page, first) or incomplete(page, size):
                raise FormatError(f"page {number + 1} {reason}" if number else reason, file=self.path)
            self._pages.append(page.offset)
            places.append(page.dataoffsets[0] if page.is_contiguous else None)
        assert first.dtype is not None  # as `unfit` has seen
        self.dtype = checked_pixels(first.dtype, self.path)
        places += self._unlisted(file, len(places))
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


def incomplete(page: tifffile.TiffPage, size: int) -> str:
    """What is wrong when parts are not in the file: without offset or length the library takes them for valid, 0."""
    parts = zip(page.dataoffsets, page.databytecounts, strict=True)
    if not page.dataoffsets or any(not offset or not count or offset + count > size for offset, count in parts):
        return "is incomplete; copy or save it again"
    return ""


def _differs(page: tifffile.TiffPage, first: tifffile.TiffPage) -> str:
    if (page.shape, page.dtype) == (first.shape, first.dtype):
        return ""
    return f"has {page.shape} pixels of type {page.dtype}, the first one {first.shape} of type {first.dtype}"


def _tag(page: tifffile.TiffPage, name: str) -> str:
    tag = page.tags.get(name)
    return "" if tag is None else str(tag.value)
