"""HDF5 files that somebody else has written: what the library raises about them, and which types are read."""

from __future__ import annotations

import os
from typing import Any

import h5py
import numpy as np
from h5py import h5pl

#: what h5py raises about a file that is damaged, or not as expected
FAILURES = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, OverflowError)


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
