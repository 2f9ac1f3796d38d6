"""From one or several datasets to the stacks in which the frames really are: links and virtual datasets taken apart.

See docs/theory/archive.md#links-in-hdf5. The HDF5 library fills what it does not find of a virtual dataset with zeros;
here every source must be there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import h5py
import numpy as np

from midas.convert.readers.hdf5_chunks import Place
from midas.convert.readers.hdf5_storage import Stored, stored
from midas.formats.hdf5_links import item_at, opened
from midas.formats.hdf5_values import DEEPEST, checked_sources, is_pattern, source_file, source_name
from midas.runtime.errors import FormatError

_NAMED = 5


@dataclass(frozen=True)
class Stack:
    """Some frames of one dataset.

    Parameters
    ----------
    path, location : the file that holds them, and the name of the dataset there
    place : which frames
    stored : how the dataset is stored
    """

    path: Path
    location: str
    place: Place
    stored: Stored


@dataclass(frozen=True)
class _Block:
    """Frames of a virtual dataset that come from one source."""

    first: int
    last: int
    file: str
    name: str
    offset: int
    whole: bool  # all rows, columns and channels, in the order of the source


def stacks_of(dataset: h5py.Dataset, path: Path, location: str, channel: int | None, depth: int = 0) -> list[Stack]:
    """The stacks that hold the frames of a dataset, in their order.

    Parameters
    ----------
    dataset : open, under the name `location` of the file `path` (links may have led to another file)
    channel : which one counts, of a dataset of four dimensions
    depth : how many virtual datasets led here

    Raises
    ------
    FormatError : a source of a virtual dataset is missing; the message names it and the frames that it should have.
    """
    count = dataset.shape[0] if dataset.ndim > 2 else 1
    checked_sources(dataset)
    if not dataset.is_virtual:
        return [Stack(path, location, Place(0, count, channel), stored(dataset, channel))]
    if depth == DEEPEST:
        raise FormatError("is a virtual dataset whose sources lead back to it", file=path, key=location)
    blocks = [_block(source, dataset) for source in dataset.virtual_sources()]
    size = sum(_size(path, name) for name in {block.file for block in blocks})
    own = [Stack(path, location, Place(0, count, channel), stored(dataset, channel, size))]
    _check_covered(blocks, dataset.shape[0], path, location)
    lost: list[tuple[_Block, str]] = []
    stacks: list[Stack] = []
    simple = all(block.whole for block in blocks)
    for block in sorted(blocks, key=lambda block: block.first):
        found = _source(dataset, block, channel, depth, lost)
        stacks += found or []
        simple = simple and found is not None
    if lost:
        raise FormatError(_lost_frames(lost, dataset), file=path, key=location)
    simple = simple and sum(stack.place.last - stack.place.first for stack in stacks) == count
    return stacks if simple else own


def _size(main: Path, name: str) -> int:
    """Bytes of a file that a virtual dataset names; 0 if there is none."""
    path = source_file(main, name)
    return 0 if path is None else path.stat().st_size


def _block(source: h5py._hl.vds.VDSmap, dataset: h5py.Dataset) -> _Block:
    """What one entry of the map of a virtual dataset says."""
    shape = dataset.shape
    (first, *low), (last, *high) = source.vspace.get_select_bounds()
    box = prod(b - a + 1 for a, b in zip((first, *low), (last, *high), strict=True))
    whole = source.vspace.get_select_npoints() == box and not any(low) and tuple(b + 1 for b in high) == shape[1:]
    offset = 0
    if source.src_space.get_select_type() == h5py.h5s.SEL_HYPERSLABS:
        lowest, highest = source.src_space.get_select_bounds()
        sizes = [b - a + 1 for a, b in zip(lowest, highest, strict=True)]
        offset = lowest[0] if len(sizes) == len(shape) else 0
        rest = sizes[1:] if len(sizes) == len(shape) else sizes
        whole = whole and prod(sizes) == source.src_space.get_select_npoints() and tuple(rest) == shape[1:]
    name = str(source.dset_name)
    return _Block(
        int(first), min(int(last) + 1, shape[0]), str(source.file_name), name, int(offset), whole and dataset.ndim > 2
    )


def _check_covered(blocks: list[_Block], count: int, path: Path, key: str) -> None:
    if pattern := next((name for block in blocks for name in (block.file, block.name) if is_pattern(name)), ""):
        reason = (
            f"is a virtual dataset over files of the pattern {pattern}, of which some may be missing; list the files"
        )
        raise FormatError(reason, file=path, key=key)
    covered = np.zeros(count, bool)
    for block in blocks:
        covered[block.first : block.last] = True
    if not covered.all():
        where = _ranges(np.flatnonzero(~covered))
        raise FormatError(f"is a virtual dataset without a source for the frames {where}", file=path, key=key)


def _source(
    dataset: h5py.Dataset, block: _Block, channel: int | None, depth: int, lost: list[tuple[_Block, str]]
) -> list[Stack] | None:
    """The stacks of a block; None if its pixels need the library. A source that is not there is added to `lost`."""
    main = Path(dataset.file.filename)
    path = source_file(main, block.file)
    if path is None:
        lost.append((block, f"{block.file}, which is missing"))
        return None
    with opened(path) as file:
        name = source_name(block.name)
        source = item_at(file, name)
        if not isinstance(source, h5py.Dataset):
            lost.append((block, f"{name} in {path}, which is not there"))
            return None
        count = source.shape[0] if source.ndim == dataset.ndim else 1
        if block.offset + block.last - block.first > count and block.whole:
            lost.append((block, f"{name} in {path}, which has only {count} frames"))
            return None
        fits = source.shape[-2:] == dataset.shape[-2:] and source.dtype == dataset.dtype
        if not (fits and block.whole and source.ndim in (dataset.ndim, 2)):
            stacks_of(source, path, name, channel, depth + 1)  # only to see whether its own sources are there
            return None
        stacks = stacks_of(source, path, name, channel if source.ndim == 4 else None, depth + 1)
    return _cut(stacks, block.offset, block.offset + block.last - block.first)


def _cut(stacks: list[Stack], first: int, last: int) -> list[Stack]:
    """Frames `first` to `last` of a sequence of stacks."""
    found, begin = [], 0
    for stack in stacks:
        place = stack.place
        end = begin + place.last - place.first
        a, b = max(first, begin), min(last, end)
        if a < b:
            shifted = replace(place, first=place.first + a - begin, last=place.first + b - begin)
            found.append(replace(stack, place=shifted))
        begin = end
    return found


def _lost_frames(lost: list[tuple[_Block, str]], dataset: h5py.Dataset) -> str:
    numbers = np.unique(np.concatenate([np.arange(block.first, block.last) for block, _ in lost]))
    named = "; ".join(f"frames {block.first} ... {block.last - 1} come from {text}" for block, text in lost[:_NAMED])
    more = f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return f"{len(numbers)} of {dataset.shape[0]} frames are lost: {named}{more}"


def _ranges(numbers: np.ndarray) -> str:
    """Some numbers as ranges: 3 ... 7, 9."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return ", ".join(f"{p[0]} ... {p[-1]}" if len(p) > 1 else f"{p[0]}" for p in parts[:_NAMED])
