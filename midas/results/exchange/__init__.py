"""Grains for other programs, and from them: one module a program, where its conventions stand once, for both ways."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from midas.formats.layer import consolidated_files
from midas.results.exchange import hexrd, imaged11, own
from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

__all__ = ["file_of", "read_grain_list"]

_KINDS = (
    "Grains.csv, a list of true grains, a layer folder, a consolidated HDF5 file, a table of ff-stitch, "
    "grains.out of HEXRD, or .map or .ubi of ImageD11"
)


def file_of(path: str | os.PathLike[str]) -> Path:
    """The file that `read_grain_list` reads: of a layer folder its ``Grains.csv``, else its newest consolidated file.

    Raises
    ------
    FormatError : the folder has neither
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / "Grains.csv").exists():
        return path / "Grains.csv"
    found = consolidated_files(path)
    if not found:
        raise FormatError("has no Grains.csv; name a layer folder or a grain list", file=path)
    return found[-1]


def read_grain_list(path: str | os.PathLike[str], *, cell: Sequence[float] | None = None) -> GrainList:
    """The grains of a file or layer folder, whichever of the known programs wrote it; its content tells.

    Parameters
    ----------
    path : ``Grains.csv`` (ours or legacy), a list of true grains (19 columns), a layer folder, a consolidated HDF5 file
        (ours or legacy), a table of ``ff-stitch``, HEXRD's ``grains.out``, ImageD11's ``.map`` or ``.ubi``
    cell : unstrained cell, Å and degrees, for a ``grains.out``, whose orientations it helps to interpret

    Returns
    -------
    GrainList; what the file does not tell is NaN, or None for the crystal

    Raises
    ------
    FormatError : in one line, when there is no such file, it is of none of these kinds, or it is damaged
    """
    file = file_of(path)
    if own.is_hdf5(file):
        return own.from_hdf5(file)
    content = read_bytes(file, advice="a grain list is needed")
    if own.is_grains(content):
        return own.from_grains(file, content)
    if own.is_stitched(content):
        return own.from_stitched(file, content)
    if b"\0" not in content:
        if hexrd.is_grains_out(content):
            return hexrd.parse_grains(file, content, cell)
        if imaged11.is_map(content):
            return imaged11.parse_map(file, content)
    raise FormatError(f"is no grain list that is known: {_KINDS}", file=file)
