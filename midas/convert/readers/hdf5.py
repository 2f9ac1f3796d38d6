"""Frames from HDF5 files of any beamline (docs/theory/archive.md#raw-files-in-hdf5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert import decompressed
from midas.convert.readers.hdf5_chunks import Place, frames_of
from midas.convert.readers.hdf5_files import item_at, opened
from midas.convert.readers.hdf5_location import find_frames, scan_location
from midas.convert.readers.hdf5_masks import gaps, is_counting, pixel_mask
from midas.convert.readers.hdf5_omegas import Wanted, found_omegas, named_omegas
from midas.convert.readers.hdf5_stacks import Stack, stacks_of
from midas.convert.source import Reading, checked_pixels, made
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

#: extensions of names of HDF5 files
SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".cxi")


class HDF5Frames:
    """The frames of one dataset, or of several that are one scan.

    A dataset has three dimensions, two for a single frame, or four with channels after the frames.

    Attributes
    ----------
    file : what is read: `path`, or a decompressed copy of it
    """

    def __init__(self, path: Path, reading: Reading):
        self.path, self._reading = path, reading
        self.file = decompressed.seekable(path, reading.scratch, self)
        with opened(self.file) as file:
            self._found = find_frames(file, reading)
            datasets = [_dataset(file, name) for name in self._found.names]
            first, key = datasets[0], self._found.names[0]
            self.dtype = checked_pixels(first.dtype, path, key)
            self._channel = _channel(file, self._found.group, first, reading.channel)
            self._stacks: list[Stack] = []
            for name, dataset in zip(self._found.names, datasets, strict=True):
                if _frame(dataset) != _frame(first):
                    reason = "has frames of {} {}; those of {} have {} {}".format(*_frame(dataset), key, *_frame(first))
                    raise FormatError(reason, file=path, key=name)
                self._stacks += stacks_of(dataset, self.file, name, None if self._channel is None else self._channel[0])
            size: tuple[int, int] = first.shape[-2:]
            counts = [dataset.shape[0] if dataset.ndim > 2 else 1 for dataset in datasets]
        self.shape: tuple[int, int, int] = (sum(counts), *size)
        if len(counts) > 1:
            log.info("%s: %d frames in %d datasets of %s", path, sum(counts), len(counts), self._found.group)
        for name, count in zip(self._found.names[:-1], counts[:-1], strict=True):
            if count != counts[0]:  # only the last file of a scan has fewer
                log.warning("%s: %s has %d frames, %s has %d; is it complete?", path, name, count, key, counts[0])

    @property
    def omegas(self) -> NDArray[np.float64] | None:
        return self._angles[0]

    @property
    def misfit(self) -> str:
        """Why the angles that the file has are not used; "" if they are, or if there are none."""
        return self._angles[1]

    @cached_property
    def _angles(self) -> tuple[NDArray[np.float64] | None, str]:
        offset, total = self._found.siblings or (0, 0)
        wanted = Wanted(self.shape[0], offset, total)
        with opened(self.file) as file:
            if location := self._reading.omega_location:
                return named_omegas(file, scan_location(file, location, self._reading.scan), wanted), ""
            return found_omegas(file, self._found.group, self._reading.motor, wanted)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        for stack in self._stacks:
            place = stack.place
            count = place.last - place.first
            if first < count:
                yield from _frames(stack, replace(place, first=place.first + first), block)
            first = max(0, first - count)

    def masked(self) -> NDArray[np.bool_] | None:
        """What the file's own mask says; and the largest value that the pixels can have, where that means a gap."""
        with opened(self.file) as file:
            channel = "" if self._channel is None else self._channel[1]
            masked = pixel_mask(file, self._found.group, self.shape[1:], channel)
            counting = masked is not None or is_counting(file, self._found.group)
        if self.dtype.name == "uint32" or (counting and self.dtype.name == "uint16"):
            found = gaps([self._one(number) for number in sorted({0, self.shape[0] // 2, self.shape[0] - 1})])
            count = np.count_nonzero(found if masked is None else found & ~masked)
            if count:
                log.info(
                    "%s: %d pixels hold %d, a gap, and are masked", self.path, count, np.iinfo(self.dtype.name).max
                )
                masked = found if masked is None else masked | found
        return masked

    def _one(self, number: int) -> NDArray[Pixel]:
        return made(next(iter(self.frames(number, 1))))


def has_dataset(path: Path, location: str) -> bool:
    """Whether a file has a dataset of that name."""
    with opened(path) as file:
        return isinstance(item_at(file, location), h5py.Dataset)


def _frames(stack: Stack, place: Place, block: int) -> Iterator[Frame]:
    with opened(stack.path) as file:
        yield from frames_of(_dataset(file, stack.location), place, block)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    dataset = item_at(file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise FormatError("is no dataset", file=file.filename, key=name)
    if dataset.shape is None or dataset.ndim not in (2, 3, 4) or 0 in dataset.shape:
        raise FormatError(f"has shape {dataset.shape}, not (frames, rows, columns)", file=file.filename, key=name)
    return dataset


def _frame(dataset: h5py.Dataset) -> tuple[str, str]:
    """Size and type of the frames, to be compared."""
    return " x ".join(map(str, dataset.shape[dataset.ndim > 2 :])), dataset.dtype.name


def _channel(file: h5py.File, group: str, dataset: h5py.Dataset, wanted: str) -> tuple[int, str] | None:
    """Number and name of the channel (threshold) to be taken of a dataset of four dimensions.

    Raises
    ------
    FormatError : there are several and the user chooses none, or one that is not there.
    """
    if dataset.ndim != 4:
        return None
    names = [str(number + 1) for number in range(dataset.shape[1])]
    listed = item_at(file, f"{group}/channel")
    if isinstance(listed, h5py.Dataset) and listed.shape == (len(names),) and h5py.check_string_dtype(listed.dtype):
        names = [n.decode(errors="replace") if isinstance(n, bytes) else str(n) for n in listed[()]]
    if len(names) == 1 and not wanted:
        return 0, names[0]
    for number, name in enumerate(names):
        if wanted in (name, str(number + 1)):
            return number, name
    reason = f"has the channels {', '.join(names)}; " + (
        f"not {wanted}" if wanted else "choose one by ThresholdChannel"
    )
    raise FormatError(reason, file=file.filename, key=dataset.name.lstrip("/"))
