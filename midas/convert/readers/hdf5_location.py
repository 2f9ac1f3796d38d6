"""Where in an HDF5 file the frames are (docs/theory/archive.md#where-the-frames-are-in-hdf5).

The name that the user gives counts. A group stands for what is in it, and the default name for what the file itself
calls its data; of several possibilities none is taken, they are listed.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import h5py

from midas.archive import DARK, DATA
from midas.archive.zarr_array import is_pixel
from midas.convert.source import Reading
from midas.formats.hdf5 import kind_of
from midas.formats.hdf5_links import Item, attribute, child, children, identity, item_at, missing_target, names
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

#: names that the parameters have when the user gives none
_DEFAULTS = (DATA, DARK)
#: stacks of frames that are no data of a scan
_NO_DATA = re.compile(r"(data_)?(dark|bright|white|flat|background)s?", re.IGNORECASE)
_NUMBERED = re.compile(r"data_([0-9]{1,12})")
_SCAN = re.compile(r"[0-9]{1,12}\.[0-9]{1,12}")
_CLASSES = ("NXentry", "NXsubentry", "NXdata")
#: objects looked at in search of frames, and of what is found how many are named
_MOST_ITEMS, _NAMED = 20_000, 8


@dataclass(frozen=True)
class Frames:
    """The datasets that are one scan, in order.

    Parameters
    ----------
    names : of the datasets in the file
    group : that holds them
    siblings : how many frames the datasets before these have, and all together, where these are a part of a series
    """

    names: tuple[str, ...]
    group: str
    siblings: tuple[int, int] | None = None


def find_frames(file: h5py.File, reading: Reading) -> Frames:
    """The frames that `reading` means.

    Raises
    ------
    FormatError : there are none, or several that could be meant; the message lists what there is.
    """
    wanted = scan_location(file, reading.location, reading.scan)
    top = wanted.partition("/")[0] if reading.scan else ""
    item = item_at(file, wanted)
    if isinstance(item, h5py.Dataset):
        return _chosen(file, wanted)
    options: list[Frames] = []
    if isinstance(item, h5py.Group):
        options = _options(item, wanted)
    elif top or wanted.strip("/") in _DEFAULTS:
        options = _options(child(file, top) if top else file, top)
    if reading.channel and len(options) > 1:
        there = ", ".join(_called(option) for option in options)
        options = [o for o in options if re.search(rf"(^|[/_]){re.escape(reading.channel)}([/_]|$)", o.names[0])]
        if not options:
            reason = f"is in no name of the stacks of frames that there are: {there}"
            raise FormatError(reason, file=file.filename, key="ThresholdChannel", value=reading.channel)
    if len(options) != 1:
        raise FormatError(_refusal(file, options, wanted, reading), file=file.filename, key=wanted)
    if item is None:
        level = logging.WARNING if wanted == DARK else logging.INFO
        log.log(level, "%s: there is no %s; the frames are those of %s", file.filename, wanted, _called(options[0]))
    return options[0]


def scan_location(file: h5py.File, location: str, scan: str) -> str:
    """The name of a dataset in the scan of the number that the user gives, if any.

    Raises
    ------
    FormatError : there is no such scan.
    """
    location = location.strip("/")
    if not scan:
        return location
    group = scan if "." in scan else f"{scan}.1"
    if not isinstance(child(file, group), h5py.Group):
        there = sorted(
            (n for n in names(file) if _SCAN.fullmatch(n)), key=lambda n: [int(part) for part in n.split(".")]
        )
        raise FormatError(f"no scan {group}; there is {_listed(there) or 'none'}", file=file.filename, key="ScanNumber")
    first, _, rest = location.partition("/")
    return f"{group}/{rest if _SCAN.fullmatch(first) else location}".rstrip("/")


def _chosen(file: h5py.File, name: str) -> Frames:
    """A dataset that the user names; with a warning if it is one of several that are one scan."""
    group, _, own = name.rpartition("/")
    parent = item_at(file, group)
    if not _NUMBERED.fullmatch(own) or not isinstance(parent, h5py.Group):
        return Frames((name,), group)
    series = [n for n in names(parent) if _NUMBERED.fullmatch(n)]
    if len(series) == 1:
        return Frames((name,), group)
    log.warning(
        "%s: %s is one of %d datasets (%s ... %s) of a scan; only its frames are converted. dataLoc %s means all",
        *(file.filename, name, len(series), min(series), max(series), group),
    )
    items = [item for n in sorted(series) if isinstance(item := child(parent, n), h5py.Dataset)]
    if len(items) < len(series):
        return Frames((name,), group)
    counts = [item.shape[0] for item in items]
    return Frames((name,), group, (sum(counts[: sorted(series).index(own)]), sum(counts)))


def _options(top: h5py.Group, path: str) -> list[Frames]:
    """What could be meant by a group: what NeXus says, else every stack of frames below."""
    if series := _series(top, path):
        return [series]
    found = _nexus(top, path, set()) or _stacks_below(top, path)
    there = [(item, o) for o in reversed(found) if (item := item_at(top.file, o.names[0])) is not None]
    found = list({identity(item): option for item, option in there}.values())[::-1]
    data = [option for option in found if not _NO_DATA.fullmatch(option.names[0].rpartition("/")[2])]
    return data or found


def _series(group: h5py.Group, path: str) -> Frames | None:
    """Datasets data_000001, data_000002 ... as detectors number the files of one scan."""
    numbers = {int(match[1]): name for name in names(group) if (match := _NUMBERED.fullmatch(name))}
    if not numbers:
        return None
    file = group.file.filename
    first, last = min(numbers), max(numbers)
    if last - first >= len(numbers):
        gaps = list(islice((n for n in range(first, last) if n not in numbers), _NAMED + 1))
        more = " and others" if len(gaps) > _NAMED else ""
        there = f"there are {numbers[first]} ... {numbers[last]}"
        reason = f"{there}, but not the data sets number {_listed(gaps[:_NAMED])}{more}"
        raise FormatError(reason, file=file, key=path)
    if lost := [f"{numbers[n]} in {target}" for n in sorted(numbers) if (target := missing_target(group, numbers[n]))]:
        raise FormatError(f"{len(lost)} of {len(numbers)} data files are missing: {_listed(lost)}", file=file, key=path)
    return Frames(tuple(f"{path}/{numbers[n]}".lstrip("/") for n in sorted(numbers)), path)


def _nexus(group: h5py.Group, path: str, seen: set[tuple[int, int]]) -> list[Frames]:
    """Stacks to which the attributes of NeXus lead: `default` from group to group, `signal` to the dataset."""
    if identity(group) in seen:
        return []
    seen.add(identity(group))
    if default := attribute(group, "default"):
        item = item_at(group, default)
        location = default.lstrip("/") if default.startswith("/") else f"{path}/{default}".lstrip("/")
        if isinstance(item, h5py.Group) and (found := _nexus(item, location, seen)):
            return found
    if attribute(group, "NX_class") == "NXdata" and (series := _series(group, path)):
        return [series]
    signal = attribute(group, "signal")
    if signal and _is_stack(child(group, signal)):
        return [Frames((f"{path}/{signal}".lstrip("/"),), path)]
    found = []
    for name, item in children(group):
        if isinstance(item, h5py.Group) and attribute(item, "NX_class") in _CLASSES:
            found += _nexus(item, f"{path}/{name}".lstrip("/"), seen)
    return found


def _stacks_below(top: h5py.Group, path: str) -> list[Frames]:
    """Every stack of frames, the ones with the shortest names first; one with several names once."""
    found: list[Frames] = []
    seen = {identity(top)}
    for group, location in _groups(top, path, seen):
        if series := _series(group, location):
            found.append(series)
        for name, item in children(group):
            numbered = series is not None and _NUMBERED.fullmatch(name)
            if isinstance(item, h5py.Dataset) and _is_stack(item) and not numbered and identity(item) not in seen:
                seen.add(identity(item))
                found.append(Frames((f"{location}/{name}".lstrip("/"),), location))
    return found


def _groups(top: h5py.Group, path: str, seen: set[tuple[int, int]]) -> Iterator[tuple[h5py.Group, str]]:
    """A group and all below, each once, the ones with the shortest names first."""
    waiting = deque([(top, path)])
    count = 0
    while waiting and count < _MOST_ITEMS:
        group, location = waiting.popleft()
        yield group, location
        for name, item in children(group):
            count += 1
            if isinstance(item, h5py.Group) and identity(item) not in seen:
                seen.add(identity(item))
                waiting.append((item, f"{location}/{name}".lstrip("/")))


def _is_stack(item: Item | None) -> bool:
    if not isinstance(item, h5py.Dataset) or item.ndim not in (3, 4):
        return False
    dtype = kind_of(item)
    return dtype is not None and is_pixel(dtype)


def _refusal(file: h5py.File, options: list[Frames], wanted: str, reading: Reading) -> str:
    if options:
        key = "ScanNumber" if not reading.scan and _SCAN.match(options[0].names[0]) else "dataLoc"
        return f"no dataset of this name, and several that could be meant; choose by {key}: {_described(file, options)}"
    found = _stacks_below(file, "")
    return f"no dataset of this name; there is {_described(file, found) or 'none with frames'}"


def _described(file: h5py.File, options: list[Frames]) -> str:
    texts = []
    for option in options:
        item = item_at(file, option.names[0])
        if isinstance(item, h5py.Dataset):
            texts.append(f"{_called(option)} ({' x '.join(map(str, item.shape))}, {item.dtype.name})")
    return _listed(texts)


def _called(option: Frames) -> str:
    if len(option.names) == 1:
        return option.names[0]
    return f"{option.group} ({Path(option.names[0]).name} ... {Path(option.names[-1]).name})"


def _listed(texts: list[str] | list[int]) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(map(str, texts[:_NAMED])) + more
