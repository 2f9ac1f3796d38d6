"""The rotation angles in an HDF5 file (docs/theory/archive.md#omega-in-hdf5).

Beamlines write where each frame begins, or its centre, or both ends; in degrees or radians. Here all become the angle
in degrees at which each frame begins.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.convert.frame_headers import NO_MOTOR
from midas.formats.hdf5 import kind_of
from midas.formats.hdf5_links import Item, attribute, attribute_texts, child, children, item_at
from midas.formats.hdf5_values import text_of, values
from midas.runtime.errors import FormatError
from midas.runtime.limits import MOST_FRAMES

log = logging.getLogger(__name__)

_UNITS = {
    **dict.fromkeys(("", "deg", "degs", "degree", "degrees", "°"), 1.0),
    **dict.fromkeys(("rad", "rads", "radian", "radians"), 180 / np.pi),
    "mrad": 0.18 / np.pi,
}
#: motors that turn the sample, as beamlines call them; the first that is there counts
_MOTORS = ("rot", "diffrz", "omega", "ome", "theta")
#: names of axes of NeXus that are angles without a unit
_AXES = (*_MOTORS, "th", "phi", "rotation", "rotation_angle", "angle", "angles")
_CENTRE = re.compile(r"_(center|centre|centers|centres|mid)$")
_END = re.compile(r"_end$")
#: axes that depend on each other; more are a circle
_LONGEST_CHAIN = 20

Angles = NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """Of how many frames the angles are wanted.

    Parameters
    ----------
    count : frames
    offset, total : where they are, and how many there are, in the series that they are a part of
    """

    count: int
    offset: int = 0
    total: int = 0


def named_omegas(file: h5py.File, location: str, wanted: Wanted) -> Angles:
    """The angles of a dataset that the user names.

    Raises
    ------
    FormatError : it is not there, or does not hold the angles of as many frames.
    """
    dataset = item_at(file, location)
    if not isinstance(dataset, h5py.Dataset):
        raise FormatError("no dataset of this name, which omegaLoc gives", file=file.filename, key=location)
    if (factor := _factor(dataset)) is None:
        reason = f"has the unit {attribute(dataset, 'units')!r}, which is no angle"
        raise FormatError(reason, file=file.filename, key=location)
    if not _has_numbers(dataset) or (omegas := _begins(dataset, wanted)) is None:
        reason = f"has shape {dataset.shape}; omegaLoc names the angles of {wanted.count} frames"
        raise FormatError(reason, file=file.filename, key=location)
    if not np.isfinite(omegas).all():
        raise FormatError("must hold finite numbers", file=file.filename, key=location)
    return omegas * factor


def found_omegas(file: h5py.File, group: str, motor: str, wanted: Wanted) -> tuple[Angles | None, str]:
    """The angles where detectors and beamlines put them, seen from the group of the frames; None if there are none.

    Parameters
    ----------
    motor : that turns the sample; "" = the usual ones

    Returns
    -------
    (frames,) degrees or None, and then why the angles that are there do not fit, with the dataset; "" if there are none
    """
    misfit = ""
    if motor == NO_MOTOR:
        return None, misfit
    for dataset in _candidates(file, group, (motor,) if motor else ()):
        factor = _factor(dataset)
        if factor is None or not _has_numbers(dataset):
            continue
        if (omegas := _begins(dataset, wanted)) is None:
            if dataset.size > 1:  # else the position of a motor that stood still
                misfit = misfit or f"{dataset.name} has {dataset.size} angles, the scan {wanted.total or wanted.count}"
            continue
        if bad := np.count_nonzero(~np.isfinite(omegas)):
            misfit = misfit or f"{bad} of {len(omegas)} angles of {dataset.name} are no finite numbers"
            continue
        if wanted.count > 1 and np.ptp(omegas) == 0:
            log.info("%s: %s tells no rotation and is not used", file.filename, dataset.name)
            continue
        log.info("%s: omega is that of %s", file.filename, dataset.name)
        return omegas * factor, ""
    if motor:
        reason = f"names no rotation of {wanted.count} frames beside {group or 'the frames'}; omegaLoc names a dataset"
        raise FormatError(reason, file=file.filename, key="OmegaMotor", value=motor)
    return None, misfit


def _candidates(file: h5py.File, group: str, motors: tuple[str, ...]) -> Iterator[h5py.Dataset]:
    first = group.strip("/").partition("/")[0]
    entry = child(file, first) if first else file
    if not isinstance(entry, h5py.Group):
        return
    for motor in motors or ("omega",):  # Eiger masters
        for name in (motor, f"{motor}_end"):
            yield from _dataset(item_at(entry, f"sample/goniometer/{name}"))
    for motor in motors or _MOTORS:  # masters of BLISS
        for name in (f"{motor}_center", motor):
            yield from _dataset(item_at(entry, f"measurement/{name}"))
    sample = child(entry, "sample")
    if isinstance(sample, h5py.Group):
        rotations = _rotations(sample)
        yield from (r for r in rotations if not motors or r.name.rpartition("/")[2] in motors)
        if not motors:
            yield from _dataset(child(sample, "rotation_angle"))
    parent = item_at(file, group)
    if isinstance(parent, h5py.Group):
        yield from _first_axis(parent, motors)
        for name in motors or ("omega", "theta"):  # APS, beside the frames
            yield from _dataset(child(parent, name))


def _first_axis(group: h5py.Group, motors: tuple[str, ...]) -> Iterator[h5py.Dataset]:
    """NeXus: what the attribute `axes` names for the frames, if its unit or its name says that it is an angle."""
    first = next(iter(attribute_texts(group, "axes")), "")
    name = re.split(r"[:,\[\]]", first.strip("["))[0]
    dataset = child(group, name) if name not in ("", ".") else None
    if isinstance(dataset, h5py.Dataset) and (not motors or name in motors):
        angle = (attribute(dataset, "units") or attribute(dataset, "unit")).strip() and _factor(dataset) is not None
        if motors or angle or name.lower() in _AXES:
            yield dataset


def _dataset(item: Item | None) -> Iterator[h5py.Dataset]:
    if isinstance(item, h5py.Dataset):
        yield item


def _rotations(sample: h5py.Group) -> Iterator[h5py.Dataset]:
    """NeXus: the rotations on which the sample depends, from the sample outwards; else those of its transformations."""
    axis: Item = sample
    for _ in range(_LONGEST_CHAIN):
        depends = attribute(axis, "depends_on")
        if not depends and isinstance(axis, h5py.Group):
            depends = text_of(child(axis, "depends_on"))
        if depends in ("", "."):
            break
        following = item_at(axis if isinstance(axis, h5py.Group) else axis.parent, depends)
        if following is None:
            break
        axis = following
        if isinstance(axis, h5py.Dataset) and attribute(axis, "transformation_type") == "rotation":
            yield axis
    for _, group in children(sample):
        if isinstance(group, h5py.Group) and attribute(group, "NX_class") == "NXtransformations":
            for name, item in children(group):
                rotation = attribute(item, "transformation_type") == "rotation"
                if isinstance(item, h5py.Dataset) and rotation and not _END.search(name):
                    yield item


def _factor(dataset: h5py.Dataset) -> float | None:
    """Degrees of one unit; None if the unit is no angle."""
    return _UNITS.get((attribute(dataset, "units") or attribute(dataset, "unit")).strip().lower())


def _begins(dataset: h5py.Dataset, wanted: Wanted) -> Angles | None:
    """Where each frame begins, in the unit of the dataset; None if these are not the angles of so many frames."""
    found = _numbers(dataset) if 0 < dataset.size <= MOST_FRAMES + 1 else np.empty(0)
    total = wanted.total or wanted.count
    name = dataset.name.rpartition("/")[2]
    if found.size == 1 and total > 1 and (step := _average(dataset, name)):
        found = found.ravel() + step * np.arange(total)
    elif found.shape == (total, 2):  # both ends
        found = found[:, 0]
    elif found.size == total + 1 and found.ndim == 1:  # edges between frames
        found = found[:-1]
    elif found.size != total:
        return None
    found = found.ravel()
    if _CENTRE.search(name):
        found = found - _widths(dataset, found) / 2
    elif _END.search(name):
        found = found - _widths(dataset, found)
    return found[wanted.offset : wanted.offset + wanted.count]


def _has_numbers(dataset: h5py.Dataset) -> bool:
    dtype = kind_of(dataset)
    return dtype is not None and dtype.kind in "iuf"


def _numbers(dataset: h5py.Dataset) -> Angles:
    return np.asarray(values(dataset), np.float64)


def _widths(dataset: h5py.Dataset, values: Angles) -> Angles:
    """How far each frame turns: what the datasets beside the angles say, else the distance to the next frame."""
    motor = re.sub(r"_[a-z]+$", "", dataset.name.rpartition("/")[2])
    delta = child(dataset.parent, f"{motor}_delta")
    if isinstance(delta, h5py.Dataset) and delta.size == values.size and _has_numbers(delta):
        return _numbers(delta).ravel()
    if step := _average(dataset, motor):
        return np.full(len(values), step)
    return np.full(len(values), np.median(np.diff(values)) if len(values) > 1 else 0.0)


def _average(dataset: h5py.Dataset, motor: str) -> float:
    """How far every frame turns, as detectors of Dectris write it beside the angles; 0 if they do not."""
    average = child(dataset.parent, f"{motor}_range_average")
    if not isinstance(average, h5py.Dataset) or average.size != 1 or not _has_numbers(average):
        return 0.0
    return float(_numbers(average).ravel()[0])
