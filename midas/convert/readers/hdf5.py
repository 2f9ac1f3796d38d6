"""Frames from HDF5 files of any beamline (docs/theory/archive.md#raw-files-in-hdf5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert import decompressed
from midas.convert.readers.hdf5_chunks import Place, blocks_of, can_read, frames_of
from midas.convert.readers.hdf5_location import Frames, find_frames, scan_location
from midas.convert.readers.hdf5_masks import find_mask, gaps, is_counting, pixel_mask
from midas.convert.readers.hdf5_metadata import look_through
from midas.convert.readers.hdf5_omegas import Wanted, found_omegas, named_omegas
from midas.convert.readers.hdf5_stacks import Stack, stacks_of
from midas.convert.source import Reading, checked_pixels, made
from midas.formats.hdf5 import kind_of, text_name
from midas.formats.hdf5_links import item_at, opened
from midas.formats.hdf5_values import check_storage, values
from midas.runtime.apart import apart, stream
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

#: extensions of names of HDF5 files
SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".cxi")


@dataclass(frozen=True)
class _Layout:
    """What there is to know about the frames of a file before they are read.

    Parameters
    ----------
    found : the datasets
    channel : number and name of the one that counts, of several
    stacks : where the frames really are
    counts : frames of each dataset
    shape, dtype : rows and columns of a frame, and the type of its pixels
    """

    found: Frames
    channel: tuple[int, str] | None
    stacks: list[Stack]
    counts: list[int]
    shape: tuple[int, int]
    dtype: np.dtype[Pixel]


class HDF5Frames:
    """The frames of one dataset, or of several that are one scan.

    A dataset has three dimensions, two for a single frame, or four with channels after the frames. The HDF5 library
    works in processes of its own, where damage of a file is no harm.

    Attributes
    ----------
    file : what is read: `path`, or a decompressed copy of it
    """

    def __init__(self, path: Path, reading: Reading):
        self.path, self._reading = path, reading
        self.file = decompressed.seekable(path, reading.scratch, self)
        layout = self._layout = apart(partial(_layout, self.file, path, reading), self.file)
        self.dtype = layout.dtype
        self.shape: tuple[int, int, int] = (sum(layout.counts), *layout.shape)
        names, counts = layout.found.names, layout.counts
        if len(counts) > 1:
            log.info("%s: %d frames in %d datasets of %s", path, sum(counts), len(counts), layout.found.group)
        for name, count in zip(names[:-1], counts[:-1], strict=True):
            if count != counts[0]:  # only the last file of a scan has fewer
                log.warning("%s: %s has %d frames, %s has %d; is it complete?", path, name, count, names[0], counts[0])

    @property
    def omegas(self) -> NDArray[np.float64] | None:
        return self._angles[0]

    @property
    def misfit(self) -> str:
        """Why the angles that the file has are not used; "" if they are, or if there are none."""
        return self._angles[1]

    @cached_property
    def _angles(self) -> tuple[NDArray[np.float64] | None, str]:
        wanted = Wanted(self.shape[0], *(self._layout.found.siblings or (0, 0)))
        return apart(partial(_angles, self.file, self._layout.found.group, wanted, self._reading), self.file)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        for stack in self._layout.stacks:
            place = stack.place
            count = place.last - place.first
            if first < count:
                yield from self._frames(stack, replace(place, first=place.first + first), block)
            first = max(0, first - count)

    def _frames(self, stack: Stack, place: Place, block: int) -> Iterator[Frame]:
        if can_read(stack.stored, place):
            yield from frames_of(stack.stored, place)
            return
        first = place.first
        try:
            for frames in stream(partial(_blocks, stack, place, block, self._reading.links), stack.path):
                yield from frames
                first += len(frames)
        except FormatError as error:
            if error.key is not None:
                raise
            reason = f"frames from {first} on: {error.reason}"  # the process has ended without a word
            raise FormatError(reason, file=error.file, key=stack.location) from None

    def masked(self) -> NDArray[np.bool_] | None:
        """What the file's own mask says; and the largest value that the pixels can have, where that means a gap."""
        channel = "" if self._layout.channel is None else self._layout.channel[1]
        work = partial(_masked, self.file, self._layout.found.group, self.shape[1:], channel, self._reading.links)
        masked, counting = apart(work, self.file)
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


def has_dataset(path: Path, location: str, links: bool = False) -> bool:
    """Whether a file has a dataset of that name."""
    return apart(partial(_has_dataset, path, location, links), path)


def look_into(
    path: Path, readings: list[Reading], scan_values: Mapping[str, str] | None = None, *, optional: bool = False
) -> None:
    """Follow what a conversion would read to where it lies; no pixels are read, and what is wrong is left for later.

    Parameters
    ----------
    readings : of the frames in the file, the first that it has counts
    scan_values : as of `metadata`; None: angles, mask and metadata are not read
    optional : no frames are looked for elsewhere
    """
    with opened(path, readings[0].links) as content:
        there = (one for one in readings if isinstance(item_at(content, one.location), h5py.Dataset))
        reading = next(there, None if optional else readings[0])
        if reading is None:
            return
        layout = _layout(path, path, reading)
        if scan_values is None:
            return
        group, channel = layout.found.group, "" if layout.channel is None else layout.channel[1]
        with suppress(FormatError):
            _angles(path, group, Wanted(sum(layout.counts), *(layout.found.siblings or (0, 0))), reading)
        with suppress(FormatError):
            if (mask := find_mask(content, group, channel)) is not None:
                check_storage(mask)
        look_through(content, scan_values)


def _has_dataset(path: Path, location: str, links: bool) -> bool:
    with opened(path, links) as file:
        return isinstance(item_at(file, location), h5py.Dataset)


def _layout(file: Path, path: Path, reading: Reading) -> _Layout:
    """The layout of a file, which may be a copy of the user's `path`."""
    with opened(file, reading.links) as content:
        found = find_frames(content, reading)
        datasets = [_dataset(content, name) for name in found.names]
        first, key = datasets[0], found.names[0]
        dtype = checked_pixels(kind_of(first) or first.dtype, path, key)
        channel = _channel(content, found.group, first, reading.channel)
        stacks: list[Stack] = []
        for name, dataset in zip(found.names, datasets, strict=True):
            if _frame(dataset) != _frame(first):
                reason = "has frames of {} {}; those of {} have {} {}".format(*_frame(dataset), key, *_frame(first))
                raise FormatError(reason, file=path, key=name)
            stacks += stacks_of(dataset, file, name, None if channel is None else channel[0])
        counts = [dataset.shape[0] if dataset.ndim > 2 else 1 for dataset in datasets]
        return _Layout(found, channel, stacks, counts, first.shape[-2:], dtype)


def _angles(file: Path, group: str, wanted: Wanted, reading: Reading) -> tuple[NDArray[np.float64] | None, str]:
    with opened(file, reading.links) as content:
        if location := reading.omega_location:
            return named_omegas(content, scan_location(content, location, reading.scan), wanted), ""
        return found_omegas(content, group, reading.motor, wanted)


def _masked(
    file: Path, group: str, shape: tuple[int, int], channel: str, links: bool
) -> tuple[NDArray[np.bool_] | None, bool]:
    """The mask in a file, and whether a detector that counts photons wrote it."""
    with opened(file, links) as content:
        masked = pixel_mask(content, group, shape, channel)
        return masked, masked is not None or is_counting(content, group)


def _blocks(stack: Stack, place: Place, block: int, links: bool) -> Iterator[NDArray[Pixel]]:
    """Frames that only the library can read."""
    with opened(stack.path, links) as content:
        yield from blocks_of(_dataset(content, stack.location), place, block)


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
    key = text_name(dataset.name).lstrip("/")
    if dataset.ndim != 4:
        if wanted and wanted not in key:  # else it has chosen this one among several
            log.info("%s: %s has no channels; ThresholdChannel %s is not used", file.filename, key, wanted)
        return None
    count = dataset.shape[1]
    names = [str(number + 1) for number in range(count)]
    listed = item_at(file, f"{group}/channel")
    named = isinstance(listed, h5py.Dataset)
    if isinstance(listed, h5py.Dataset) and listed.shape == (count,) and h5py.check_string_dtype(listed.dtype):
        names = [name.decode(errors="replace") for name in values(listed).tolist()]
    if count == 1 and not wanted:
        return 0, names[0]
    for number, name in enumerate(names):
        if wanted in (name, str(number + 1)):
            return number, name
    if wanted:
        reason = f"has the channels {', '.join(names)}; there is no ThresholdChannel {wanted}"
    elif named or dataset.shape[0] > 1:
        reason = f"has the channels {', '.join(names)}; choose one by ThresholdChannel"
    else:  # who stores a stack of frames in one more dimension means no channels
        reason = (
            f"has shape {dataset.shape}, which is (frames, channels, rows, columns): one frame. If the {count} images "
        )
        reason += (
            "are the frames, store them as (frames, rows, columns); if not, ThresholdChannel chooses one, by its number"
        )
    raise FormatError(reason, file=file.filename, key=key)
