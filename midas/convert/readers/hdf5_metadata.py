"""Small datasets of an HDF5 file that the archive takes over (docs/theory/archive.md#raw-files-in-hdf5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.formats.hdf5 import kind_of, text_name
from midas.formats.hdf5_links import Item, child, children, identity, item_at, opened
from midas.formats.hdf5_values import check_storage, values
from midas.runtime.apart import apart
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

#: datasets larger than this are detector data, not metadata, and are not copied
_LARGEST_METADATA = 16 << 20
_COPIED_GROUPS = ("instrument", "measurement")
_NOT_COPIED = "measurement/process"
#: links can give a few groups any number of names, and any depth
_MOST_ITEMS, _MOST_BYTES, _DEEPEST = 5_000, 256 << 20, 50


def metadata(path: Path, scan_values: dict[str, str], links: bool = False) -> list[tuple[str, NDArray[np.generic]]]:
    """Small datasets that an archive takes over.

    Parameters
    ----------
    path : the first file of a scan
    scan_values : name -> where it is in the file, for the values of the scan group
    links : whether links may lead to files anywhere

    Returns
    -------
    Path in the archive (a bare name means the scan group) and values.
    """
    return apart(lambda: list(_metadata(path, scan_values, links)), path)


def _metadata(path: Path, scan_values: dict[str, str], links: bool) -> Iterator[tuple[str, NDArray[np.generic]]]:
    left = [_MOST_BYTES]
    with opened(path, links) as file:
        for name, dataset in _datasets(file, scan_values, lambda: left[0] < 0):
            if (found := plain(dataset)) is not None:
                left[0] -= found.nbytes
                yield name, found


def look_through(file: h5py.File, scan_values: Mapping[str, str]) -> None:
    """Follow what `metadata` would read to where it lies, without reading it."""
    for _, dataset in _datasets(file, scan_values, lambda: False):
        if _is_small(dataset):
            with suppress(FormatError):
                check_storage(dataset)


def _datasets(
    file: h5py.File, scan_values: Mapping[str, str], full: Callable[[], bool]
) -> Iterator[tuple[str, h5py.Dataset]]:
    """The datasets that are copied, as far as they are small, and their names; until `full` says so."""
    for name, location in scan_values.items():
        with suppress(FormatError):
            if isinstance(dataset := item_at(file, location), h5py.Dataset):
                yield name, dataset
    for group in _COPIED_GROUPS:
        if isinstance(top := child(file, group), h5py.Group):
            for count, (target, item) in enumerate(_below(top, group, ())):
                if count == _MOST_ITEMS or full():
                    name = file.filename
                    log.warning("%s: of %s only the first %d groups and datasets are copied", name, group, count)
                    break
                if isinstance(item, h5py.Dataset):
                    yield target, item


def _is_small(dataset: h5py.Dataset) -> bool:
    dtype = kind_of(dataset)
    return dtype is not None and bool(dataset.size) and dataset.size * dtype.itemsize <= _LARGEST_METADATA


def plain(dataset: h5py.Dataset) -> NDArray[np.generic] | None:
    """The values, as numbers or bytes of one length; None for what an archive does not hold."""
    if not _is_small(dataset):
        log.debug("%s: %s is not copied", dataset.file.filename, text_name(dataset.name))
        return None
    try:
        found = values(dataset)
    except FormatError as error:
        log.warning("%s; it is not copied", error)
        return None
    return found.astype(np.uint8) if found.dtype.kind == "b" else found


def _can_be_a_name(name: str) -> bool:
    """Whether the members of an archive may be called so: such names mean nothing to file systems and to Zarr."""
    return name.isprintable() and not name.startswith((".", " ")) and "\\" not in name and len(name) < 256


def _below(group: h5py.Group, path: str, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, Item]]:
    """What is below a group; links that lead back to one of the groups `above` are not followed again."""
    above = (*above, identity(group))
    for name, item in children(group):
        target = f"{path}/{name}"
        if not _can_be_a_name(name):
            log.warning("%s: %s is not copied: an archive cannot have this name", group.file.filename, ascii(target))
        elif isinstance(item, h5py.Dataset):
            yield target, item
        elif f"{target}/".startswith(f"{_NOT_COPIED}/"):
            log.debug("%s: the group %s is not copied", group.file.filename, target)
        elif identity(item) in above or len(above) == _DEEPEST:
            log.debug("%s: %s leads back to %s", group.file.filename, target, item.name)
        else:
            yield target, item
            yield from _below(item, target, above)
