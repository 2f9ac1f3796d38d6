"""Small datasets of an HDF5 file that the archive takes over (docs/theory/archive.md#raw-files-in-hdf5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.convert.readers.hdf5_files import Item, child, children, identity, opened

log = logging.getLogger(__name__)

#: datasets larger than this are detector data, not metadata, and are not copied
_LARGEST_METADATA = 16 << 20
_COPIED_GROUPS = ("instrument", "measurement")
_NOT_COPIED = "measurement/process"
#: links can give a few groups any number of names, and any depth
_MOST_ITEMS, _MOST_BYTES, _DEEPEST = 5_000, 256 << 20, 50


def metadata(path: Path, scan_values: dict[str, str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Small datasets that an archive takes over.

    Parameters
    ----------
    path : the first file of a scan
    scan_values : name -> where it is in the file, for the values of the scan group

    Yields
    ------
    Path in the archive (a bare name means the scan group) and values.
    """
    with opened(path) as file:
        left = _MOST_BYTES
        for name, location in scan_values.items():
            dataset = child(file, location)
            if isinstance(dataset, h5py.Dataset) and (values := plain(dataset)) is not None:
                yield name, values
        for group in _COPIED_GROUPS:
            if isinstance(top := child(file, group), h5py.Group):
                for count, (target, item) in enumerate(_below(top, group, ())):
                    if count == _MOST_ITEMS or left < 0:
                        log.warning("%s: of %s only the first %d groups and datasets are copied", path, group, count)
                        break
                    if isinstance(item, h5py.Dataset) and (values := plain(item)) is not None:
                        left -= values.nbytes
                        yield target, values


def plain(dataset: h5py.Dataset) -> NDArray[np.generic] | None:
    """The values, as numbers or bytes of one length; None for what an archive does not hold."""
    if dataset.size and dataset.size * dataset.dtype.itemsize <= _LARGEST_METADATA:
        try:
            values = np.asarray(dataset[()])
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s: %s is not copied (%s)", dataset.file.filename, dataset.name, error)
            return None
        if h5py.check_string_dtype(dataset.dtype) is not None:
            values = np.array([v if isinstance(v, bytes) else str(v).encode() for v in values.ravel()])
            return values.reshape(dataset.shape)
        if values.dtype.kind == "b":
            return values.astype(np.uint8)
        if values.dtype.kind in "iuf" and values.dtype.itemsize <= 8:
            return values
    log.debug("%s: %s is not copied", dataset.file.filename, dataset.name)
    return None


def _below(group: h5py.Group, path: str, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, Item]]:
    """What is below a group; links that lead back to one of the groups `above` are not followed again."""
    above = (*above, identity(group))
    for name, item in children(group):
        target = f"{path}/{name}"
        if isinstance(item, h5py.Dataset):
            yield target, item
        elif f"{target}/".startswith(f"{_NOT_COPIED}/"):
            log.debug("%s: the group %s is not copied", group.file.filename, target)
        elif identity(item) in above or len(above) == _DEEPEST:
            log.debug("%s: %s leads back to %s", group.file.filename, target, item.name)
        else:
            yield target, item
            yield from _below(item, target, above)
