"""Values of HDF5 files that somebody else has written: which are read, and how many at most (docs/inputs.md#limits).

No other module reads values that are not pixels. A dataset may have them in other files, and the library fetches them
from wherever they are: so each is looked into first, through all virtual datasets and links, to where its values lie.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.formats.hdf5 import FAILURES, kind_of, text_name
from midas.formats.hdf5_links import check_inside, item_at, located, opened
from midas.runtime.errors import FormatError, one_line
from midas.runtime.limits import largest, too_large

#: virtual datasets may have virtual sources; more levels than this are a circle
DEEPEST = 8
#: texts of more bytes are none
_LARGEST_TEXT = 16 << 20


def values(dataset: h5py.Dataset) -> NDArray[Any]:
    """All values of a dataset, numbers or texts (as bytes).

    Raises
    ------
    FormatError : it holds something else, or more than its file may ask for, or they lie in files that are missing,
        that must not be read, or that are not HDF5.
    """
    file, key = dataset.file.filename, _key(dataset)
    dtype = kind_of(dataset)
    if dtype is None or dataset.shape is None:
        raise FormatError("holds neither numbers nor text", file=file, key=key)
    check_storage(dataset)
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


def text_of(item: object) -> str:
    """The only text of a dataset; "" if it is no such dataset."""
    if not isinstance(item, h5py.Dataset) or item.size != 1:
        return ""
    dtype = kind_of(item)
    if dtype is None or h5py.check_string_dtype(dtype) is None:
        return ""
    text: bytes = values(item).ravel()[0]
    return text.decode(errors="replace")


def touch(dataset: h5py.Dataset) -> None:
    """Let the library look for all parts of a dataset, and read it if it is text, whose damage it does not notice."""
    check_storage(dataset)
    dtype = kind_of(dataset)
    if dtype is not None and h5py.check_string_dtype(dtype) is not None:
        values(dataset)
    elif dataset.chunks and hasattr(dataset.id, "chunk_iter"):
        dataset.id.chunk_iter(lambda info: None)


def check_storage(dataset: h5py.Dataset) -> None:
    """FormatError if values of a dataset lie, at any remove, in files that are missing, not to be read, or not HDF5."""
    _check_storage(dataset, DEEPEST, set())


def _check_storage(dataset: h5py.Dataset, left: int, sound: set[tuple[str, str]]) -> None:
    """Follow the sources of a virtual dataset, `left` levels deep, but for those that were found sound before."""
    path, key = Path(dataset.file.filename), _key(dataset)
    sources = checked_sources(dataset)
    if sources and not left:
        raise FormatError("is a virtual dataset whose sources lead back to it", file=path, key=key)
    for file, name in sources:
        if is_pattern(file) or is_pattern(name):
            reason = f"is a virtual dataset over the pattern {name} in {file}, of which some may be missing; list them"
            raise FormatError(reason, file=path, key=key)
        target = source_file(path, file)
        if target is None:
            raise FormatError(f"is a virtual dataset with values in {file}, which is missing", file=path, key=key)
        where = (str(target.resolve()), name)
        if where in sound:
            continue
        with opened(target) as other:
            source = item_at(other, source_name(name))
            if not isinstance(source, h5py.Dataset):
                reason = f"is a virtual dataset with values of {name} in {target}, which is not there"
                raise FormatError(reason, file=path, key=key)
            _check_storage(source, left - 1, sound)
        sound.add(where)


def checked_sources(dataset: h5py.Dataset) -> list[tuple[str, str]]:
    """File and name of each source of a virtual dataset, each once; none of other datasets.

    Raises
    ------
    FormatError : the values lie in files that are not HDF5, or a source in a file that must not be read. What is in
        the sources themselves is not looked at.
    """
    path, key = Path(dataset.file.filename), _key(dataset)
    settings = dataset.id.get_create_plist()
    if settings.get_external_count():
        reason = f"has its values in {os.fsdecode(settings.get_external(0)[0])}, a file that is not HDF5"
        raise FormatError(f"{reason}; such files are not read: copy them into the dataset", file=path, key=key)
    if not dataset.is_virtual:
        return []
    sources = list(dict.fromkeys((str(one.file_name), str(one.dset_name)) for one in dataset.virtual_sources()))
    for file in dict.fromkeys(file for file, _ in sources):
        target = None if file == "." else source_file(path, file)
        if target is not None:
            check_inside(target, path, key)
    return sources


def is_pattern(name: str) -> bool:
    """Whether the name of a source, or of its file, stands for any number of them (``%b``)."""
    return "%" in name.replace("%%", "")


def source_name(name: str) -> str:
    """The name that a virtual dataset writes with a doubled ``%``."""
    return name.replace("%%", "%")


def source_file(main: Path, name: str) -> Path | None:
    """The file that a virtual dataset in the file `main` names; None if it is nowhere."""
    return main if name == "." else located(main, source_name(name))


def _key(dataset: h5py.Dataset) -> str:
    return text_name(dataset.name).lstrip("/")
