"""Raw files of all kinds, a module a format, and which reader takes which file (docs/theory/archive.md#conversion)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from midas.convert import decompressed
from midas.convert.readers.cbf import CBFFrames
from midas.convert.readers.edf import EDFFrames
from midas.convert.readers.existing import ArchivedFrames
from midas.convert.readers.ge import GEFrames
from midas.convert.readers.hdf5 import SUFFIXES, HDF5Frames
from midas.convert.readers.sparse import SparseFrames
from midas.convert.readers.sparse_hdf5 import SparseHDF5Frames
from midas.convert.readers.tiff import TIFFFrames
from midas.convert.source import FrameSource, Reading
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawFormat:
    """A kind of raw file.

    Parameters
    ----------
    name : for messages
    make : opens a file
    extensions : of its files, lower case; those of the compression are not among them
    magic : how the content of such a file begins; None if that does not tell
    """

    name: str
    make: Callable[[Path, Reading], FrameSource]
    extensions: tuple[str, ...]
    magic: re.Pattern[bytes] | None = None


_HDF5_MAGIC = re.compile(rb"\x89HDF\r\n\x1a\n")
HDF5 = RawFormat("HDF5", HDF5Frames, SUFFIXES, _HDF5_MAGIC)
SPARSE_HDF5 = RawFormat("a sparse frame cache in HDF5", SparseHDF5Frames, (".fch5",), _HDF5_MAGIC)
TIFF = RawFormat("TIFF", TIFFFrames, (".tif", ".tiff"), re.compile(rb"II[*+]\0|MM\0[*+]"))
CBF = RawFormat("CBF", CBFFrames, (".cbf",), re.compile(rb"###CBF: VERSION"))
#: a text block of keys and values in braces
EDF = RawFormat("EDF", EDFFrames, (".edf",), re.compile(rb"\s{0,4}\{\s[\s\w]+=[ -~\s]*;"))
SPARSE = RawFormat("a sparse frame cache", SparseFrames, (".npz",))
ARCHIVE = RawFormat("an archive", ArchivedFrames, (".zip",))
#: whatever is none of the others
RAW = RawFormat("raw pixels", GEFrames, (".ge", *(f".ge{number}" for number in range(10)), ".raw", ".bin"))

FORMATS = (HDF5, SPARSE_HDF5, TIFF, CBF, EDF, SPARSE, ARCHIVE, RAW)
_BEGINNING = 512
_GE = re.compile(r"\.ge\d*")


def format_of(path: Path) -> RawFormat:
    """What a file is: by the way it begins, else by its extension, else raw pixels.

    An extension that means raw pixels says the least: detectors have written files of every kind under it.
    """
    start = decompressed.beginning(path, _BEGINNING)
    extension = decompressed.plain(path).suffix.lower()
    named = next((kind for kind in FORMATS if extension in kind.extensions), RAW)
    if named.magic is not None and named.magic.match(start):
        return named
    return next((kind for kind in FORMATS if kind.magic is not None and kind.magic.match(start)), named)


def open_source(path: Path, reading: Reading, *, announce: bool = False) -> FrameSource:
    """The reader for a file; a compressed one is named as it is, ``scan.ge3.bz2``.

    Parameters
    ----------
    announce : say what is taken for granted about the file
    """
    if not path.is_file():
        raise FormatError("is missing", file=path)
    kind = format_of(path)
    extension = decompressed.plain(path).suffix.lower()
    if announce and extension not in kind.extensions and kind is not RAW:
        log.info("%s: is read as %s, which it begins like", path, kind.name)
    if announce and kind is RAW:
        layout = "%s: is read as raw pixels: a header of %d bytes, then frames of %d rows of %d pixels of type %s"
        known = _GE.fullmatch(extension) or extension in RAW.extensions
        advice = "" if known else f"; '{extension}' is the extension of no format that is known"
        level = logging.INFO if known else logging.WARNING
        sizes = (reading.header, reading.rows, reading.columns, reading.pixel.name)
        log.log(level, f"{layout} (HeadSize, NrPixelsZ, NrPixelsY, RawPixelType)%s", path, *sizes, advice)
    return kind.make(path, reading)
