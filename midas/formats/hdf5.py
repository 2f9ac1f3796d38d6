"""Values of HDF5 files that somebody else has written: which are read, and how many at most (docs/inputs.md#limits)."""

from __future__ import annotations

import os
from math import prod
from typing import Any

import h5py
import numpy as np
from h5py import h5pl
from numpy.typing import NDArray

from midas.runtime.errors import FormatError, one_line
from midas.runtime.limits import largest, too_large

#: what h5py raises about a file that is damaged, or not as expected
FAILURES = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, OverflowError)
#: texts of more bytes are none
_LARGEST_TEXT = 16 << 20


def _keep_filters_home() -> None:
    """Filters are loaded from no folder that a relative path means, which may be that of the data."""
    for number in reversed(range(h5pl.size())):
        if not os.path.isabs(h5pl.get(number)):
            h5pl.remove(number)


_keep_filters_home()


def text_name(name: str | bytes | None) -> str:
    """A name of an object, which may have any bytes."""
    if isinstance(name, bytes):
        return name.decode("utf-8", "surrogateescape")
    return name or ""


def refuse_foreign(dataset: h5py.Dataset) -> None:
    """FormatError for a dataset whose values lie in files of another kind."""
    settings = dataset.id.get_create_plist()
    if not settings.get_external_count():
        return
    reason = f"has its values in {os.fsdecode(settings.get_external(0)[0])}, a file that is not HDF5"
    raise FormatError(
        f"{reason}; such files are not read: copy them into the dataset",
        file=dataset.file.filename,
        key=text_name(dataset.name).lstrip("/"),
    )


def kind_of(dataset: h5py.Dataset) -> np.dtype[Any] | None:
    """The type of the values: numbers, truth values or text; None for anything else.

    Compounds, references, lists of any length, opaque values, complex numbers and types that NumPy does not have are
    nothing that is read.
    """
    try:
        dtype: np.dtype[Any] = dataset.dtype
        if h5py.check_string_dtype(dtype) is not None:
            return dtype
    except FAILURES:
        return None
    known = dtype.kind in "biuf" and dtype.subdtype is None and dtype.itemsize <= 8
    return np.dtype(dtype.str) if known else None


def touch(dataset: h5py.Dataset) -> None:
    """Let the library look for all parts of a dataset, and read it if it is text, whose damage it does not notice."""
    dtype = kind_of(dataset)
    if dtype is not None and h5py.check_string_dtype(dtype) is not None:
        values_of(dataset)
    elif dataset.chunks and hasattr(dataset.id, "chunk_iter"):
        dataset.id.chunk_iter(lambda info: None)


def values_of(dataset: h5py.Dataset) -> NDArray[Any]:
    """All values of a dataset, numbers or texts (as bytes).

    Raises
    ------
    FormatError : it holds something else, or more than its file may ask for.
    """
    file, key = dataset.file.filename, text_name(dataset.name).lstrip("/")
    dtype = kind_of(dataset)
    if dtype is None or dataset.shape is None:
        raise FormatError("holds neither numbers nor text", file=file, key=key)
    refuse_foreign(dataset)
    size = os.path.getsize(file)
    pieces = [dataset.shape] + ([dataset.chunks] if dataset.chunks else [])
    reason = next((r for shape in pieces if (r := too_large(prod(shape) * dtype.itemsize, size))), "")
    if h5py.check_string_dtype(dtype) is not None and prod(dataset.shape) * dtype.itemsize > _LARGEST_TEXT:
        reason = f"has {prod(dataset.shape)} texts"
    if reason:
        raise FormatError(reason, file=file, key=key)
    try:
        found = np.asarray(dataset[()])
    except FAILURES as error:
        raise FormatError(f"cannot be read ({one_line(error)})", file=file, key=key) from None
    if h5py.check_string_dtype(dtype) is None:
        return found.astype(dtype, copy=False)
    texts = [
        text if isinstance(text, bytes) else str(text).encode("utf-8", "replace") for text in found.ravel().tolist()
    ]
    widest = max(map(len, texts), default=0)
    if widest * len(texts) > largest(size):
        raise FormatError(f"has {len(texts)} texts of up to {widest} bytes", file=file, key=key)
    return np.array(texts, f"S{max(1, widest)}").reshape(found.shape)
