"""Pixels that an HDF5 file says measure nothing (docs/theory/archive.md#masked-pixels-of-hdf5)."""

from __future__ import annotations

import logging
from typing import TypeGuard

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.formats.hdf5 import kind_of, text_name
from midas.formats.hdf5_links import attribute, child, children, item_at
from midas.formats.hdf5_values import text_of, values
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

_PLACES = ("detectorSpecific/pixel_mask", "pixel_mask")


def pixel_mask(file: h5py.File, group: str, shape: tuple[int, int], channel: str) -> NDArray[np.bool_] | None:
    """The mask of the detector beside which the frames are, True where any of its bits is set; None if there is none.

    Raises
    ------
    FormatError : it has another size than the frames.
    """
    found = find_mask(file, group, channel)
    if found is None:
        return None
    if found.shape != shape:
        reason = f"has {found.shape} pixels, the frames have {shape} (rows, columns)"
        raise FormatError(reason, file=file.filename, key=text_name(found.name).lstrip("/"))
    masked: NDArray[np.bool_] = values(found) != 0
    log.info("%s: %s masks %d pixels", file.filename, text_name(found.name).lstrip("/"), np.count_nonzero(masked))
    return masked


def find_mask(file: h5py.File, group: str, channel: str) -> h5py.Dataset | None:
    """The dataset of the mask, whatever it holds."""
    places = [item_at(detector, place) for detector in _detectors(file, group) for place in _places(channel)]
    return next((place for place in places if _is_image(place)), None)


def is_counting(file: h5py.File, group: str) -> bool:
    """Whether a photon-counting detector of Dectris wrote the frames, whose largest value means a gap."""
    names = (_words(child(d, name)) for d in _detectors(file, group) for name in ("description", "type", "name"))
    return any("eiger" in name or "pilatus" in name for name in names)


def gaps(frames: list[NDArray[Pixel]]) -> NDArray[np.bool_]:
    """Pixels that have the largest value of their type in each of some frames."""
    largest = np.iinfo(frames[0].dtype.name).max
    masked: NDArray[np.bool_] = np.logical_and.reduce([frame == largest for frame in frames])
    return masked


def _places(channel: str) -> tuple[str, ...]:
    return (f"{channel}_channel/pixel_mask", *_PLACES) if channel else _PLACES


def _detectors(file: h5py.File, group: str) -> list[h5py.Group]:
    """Groups of detectors: the one that holds the frames, else those of the instrument of the same entry."""
    own = item_at(file, group)
    if isinstance(own, h5py.Group) and attribute(own, "NX_class") == "NXdetector":
        return [own]
    entry = child(file, group.strip("/").partition("/")[0] or "/")
    instrument = child(entry, "instrument") if isinstance(entry, h5py.Group) else None
    if not isinstance(instrument, h5py.Group):
        return []
    groups = {name: item for name, item in children(instrument) if isinstance(item, h5py.Group)}
    if "detector" in groups:
        return [groups["detector"]]
    with_mask = [item for item in groups.values() if any(_is_image(item_at(item, place)) for place in _PLACES)]
    return with_mask if len(with_mask) == 1 else []


def _is_image(item: object) -> TypeGuard[h5py.Dataset]:
    if not isinstance(item, h5py.Dataset) or item.ndim != 2:
        return False
    dtype = kind_of(item)
    return dtype is not None and dtype.kind in "biu"


def _words(item: object) -> str:
    return text_of(item).lower()
