"""Headerless little-endian record files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from midas.runtime.errors import FormatError
from midas.runtime.files import write_atomic

Scalar = TypeVar("Scalar", bound=np.generic)

#: how numbers stand in the files
FLOAT64 = np.dtype("<f8")
INT32 = np.dtype("<i4")


def read_records(
    path: str | os.PathLike[str],
    dtype: np.dtype[Scalar],
    record: tuple[int, ...],
    *,
    written_by: str = "",
) -> NDArray[Scalar]:
    """All records of a file as an array of shape ``(n, *record)``.

    The file is read, not mapped: one that is cut off while it is mapped would end the process.

    Raises
    ------
    FormatError
        when the file is missing, its size is not a whole number of records, or it gets shorter while it is read
    """
    size = dtype.itemsize * int(np.prod(record))
    try:
        length = Path(path).stat().st_size
        if length % size:
            raise FormatError(f"has {length} bytes, not a multiple of {size} bytes a record; it is cut off", file=path)
        if length == 0:
            return np.empty((0, *record), dtype)
        records = np.fromfile(path, dtype, count=length // dtype.itemsize)
        if records.nbytes < length:
            raise FormatError(f"has become shorter than its {length} bytes while it was read; read it again", file=path)
        return records.reshape(-1, *record)
    except OSError as error:
        advice = f"; run {written_by} first" if written_by else ""
        raise FormatError(f"cannot be read ({error.strerror}){advice}", file=path) from None


def write_records(path: str | os.PathLike[str], records: NDArray[np.generic], dtype: DTypeLike) -> None:
    """Write the array, C order, complete or not at all."""
    write_atomic(path, np.ascontiguousarray(records, dtype=dtype).tobytes())


def numbers(records: NDArray[np.void]) -> NDArray[np.float64]:
    """A view of n records of float64 as (n, k) numbers, whatever their names."""
    return records.view(FLOAT64).reshape(len(records), records.itemsize // 8)


def joined(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Records of float64 one part after the other; numpy alone would copy them field by field."""
    records: NDArray[np.void] = np.concatenate([numbers(part) for part in parts]).view(parts[0].dtype)
    return records.ravel()


def filled(layout: np.dtype[np.void], found: NDArray[np.void], **more: NDArray[np.generic]) -> NDArray[np.void]:
    """Records of a file from what a kernel found, by name.

    Parameters
    ----------
    layout : of the file
    found : (n,) records of the kernel, which may have more fields than the file
    more : fields of the file that the kernel does not know

    Raises
    ------
    ValueError : for a field of the file that neither has
    """
    records = np.empty(len(found), layout)
    for name in layout.names or ():
        records[name] = more[name] if name in more else found[name]
    return records
