"""The raw files of one scan: their names, and their frames one after the other.

See docs/theory/archive.md#names-of-a-scan.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert import decompressed
from midas.convert.readers import open_source
from midas.convert.series import LAST_NUMBER, whole_series
from midas.convert.source import UNKNOWN, FrameSource, Reading
from midas.formats.layer import archive_name
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, UsageError, shown
from midas.runtime.parallel import ordered_map

log = logging.getLogger(__name__)

#: kinds of files that a folder of frames can consist of
_IMAGES = (".tif", ".tiff", ".cbf", ".edf")
#: bytes of the name of a file
_LONGEST_NAME = 255
_PATTERN = re.compile(r"[*?\[]")


class Sweep:
    """The frames of one scan, from one or several files.

    Parameters
    ----------
    paths : the raw files in order
    reading : what the user says about them
    skipped : leading frames of each file that are no data. Those of the first file stay in the archive, whose readers
        skip them; those of the others are left out. Of a series of single images the first ones are meant.
    block : frames read at once; -1 = as many as is good
    threads : that open the files

    Attributes
    ----------
    shape : frames, rows, columns; the number of frames is `UNKNOWN` until all frames have been read where only that
        tells
    """

    def __init__(self, paths: list[Path], reading: Reading, skipped: int, block: int = -1, threads: int = 1):
        first = open_source(paths[0], reading, announce=True)
        others = ordered_map(partial(open_source, reading=reading), paths[1:], threads)
        self.sources: list[FrameSource] = [first, *others]
        self._block = block
        single = len(paths) > 1 and all(source.shape[0] == 1 for source in self.sources)
        self._skipped = 0 if single else skipped
        for source in self.sources:
            _check_alike(source, first)
            if source.shape[0] != UNKNOWN:
                _check_count(source, source.shape[0], first.shape[0], self._skipped)
        if single and len(paths) <= skipped:
            raise FormatError(f"the scan has {len(paths)} frames, SkipFrame is {skipped}", file=paths[0])
        counts = [source.shape[0] for source in self.sources]
        total = UNKNOWN if UNKNOWN in counts else sum(counts) - self._skipped * (len(counts) - 1)
        self.shape: tuple[int, int, int] = (total, first.shape[1], first.shape[2])
        self.dtype: np.dtype[Pixel] = first.dtype

    @property
    def omegas(self) -> NDArray[np.float64] | None:
        """The angle at which each frame begins, if every file has it, and it changes."""
        parts = []
        for source, first in self._parts():
            if source.omegas is None:
                return None
            parts.append(source.omegas[first:])
        angles = np.concatenate(parts)
        if len(angles) > 1 and np.ptp(angles) == 0:  # the motor that the header names did not turn
            log.info("%s: omega is %g in every frame; that is not used", self.sources[0].path, angles[0])
            return None
        return angles

    @property
    def misfit(self) -> str:
        """Why the files' own angles are not used, where they have some; else ""."""
        for source in self.sources:
            if misfit := getattr(source, "misfit", ""):  # of formats that can have many angles in a file
                return f"{source.path}: {misfit}"
        without = [source.path for source in self.sources if source.omegas is None]
        if not without or len(without) == len(self.sources):
            return ""
        return f"{len(without)} of {len(self.sources)} files have no angle, {without[0].name} is the first"

    def masked(self) -> NDArray[np.bool_] | None:
        """Pixels of which the files say all along that they measure nothing; three files stand for all of them.

        A pixel that is marked in some frames only may be one that was saturated there.
        """
        count = len(self.sources)
        masks = [self.sources[i].masked() for i in sorted({0, count // 2, count - 1})]
        given = [mask for mask in masks if mask is not None]
        return np.logical_and.reduce(given) if given else None

    def frames(self) -> Iterator[Frame]:
        expected, total = 0, 0
        for number, (source, first) in enumerate(self._parts(), 1):
            log.info("Processing file %d/%d: %s", number, len(self.sources), source.path)
            count = first
            for frame in source.frames(first, self._block):
                yield frame
                count += 1
            expected = expected or count
            _check_count(source, count, expected, self._skipped)
            total += count - first
        self.shape = (total, *self.shape[1:])

    def _parts(self) -> Iterator[tuple[FrameSource, int]]:
        """Each file and the number of its first frame that counts."""
        return ((source, self._skipped if i else 0) for i, source in enumerate(self.sources))


def _check_alike(source: FrameSource, first: FrameSource) -> None:
    for name, found, expected in (
        ("frames of {} pixels", source.shape[1:], first.shape[1:]),
        ("pixels of type {}", source.dtype.name, first.dtype.name),
    ):
        if found != expected:
            reason = f"has {name.format(found)}, the first file of the scan has {name.format(expected)}"
            raise FormatError(reason, file=source.path)


def _check_count(source: FrameSource, count: int, first: int, skipped: int) -> None:
    """No file has fewer frames than the first one, and each has some that count."""
    if count < first:
        reason = f"has {count} frames, the first file of the scan has {first}; is it complete?"
        raise FormatError(reason, file=source.path)
    if count <= skipped:
        raise FormatError(f"has {count} frames, SkipFrame is {skipped}", file=source.path)


def scan_names(parameters: Parameters, layer: int, *, any_layer: bool = False) -> tuple[Path, str]:
    """First raw file and name of the archive, from the parameter file, or from `dataFN` for the first layer.

    With `any_layer` the file of `dataFN` is the scan of this layer, whatever its number.
    """
    given = parameters.get("dataFN", "")
    if given and (layer == 1 or any_layer):
        return Path(given), archive_name(given, layer)
    number = parameters["StartFileNrFirstLayer"] + (layer - 1) * parameters["NrFilesPerSweep"]
    name = f"{parameters['FileStem']}_{number:0{parameters['Padding']}d}"
    # A stem may be a path below RawFolder; the archive goes into the folder of the results all the same.
    return Path(parameters["RawFolder"]) / f"{name}{parameters['Ext']}", f"{PurePath(name).name}.MIDAS.zip"


def raw_files(first: Path, count: int, *, scan: bool = False) -> list[Path]:
    """The files of a scan: numbered ones from `first` on, the images of a folder, or those that fit a pattern.

    Parameters
    ----------
    first : a file, a folder, or a name with ``*``, ``?`` or ``[...]``
    count : files of the scan; of a folder or a pattern 1 means all of them
    scan : of a folder or a pattern, leave out dark frames and ask for every number
    """
    if max(len(os.fsencode(part)) for part in ("", *first.parts)) > _LONGEST_NAME:
        raise FormatError("is too long to be the name of a file", file=shown(first))
    if first.is_dir():
        found = _in_order(path for path in first.iterdir() if _is_image(path))
        kinds = {decompressed.plain(path).suffix.lower() for path in found}
        if len(kinds) > 1:
            reason = f"holds images of several kinds ({', '.join(sorted(kinds))}); name those of the scan: folder/*.tif"
            raise UsageError(reason, file=first)
        if not found:
            raise UsageError(f"is a folder without images ({' '.join(_IMAGES)})", file=first)
    elif has_pattern(first):
        found = _in_order(first.parent.glob(first.name))
        if not found:
            raise UsageError("no file fits this pattern", file=first)
    else:
        return consecutive(first, count)
    if scan:
        found = whole_series(found, first)
    if count not in (1, len(found)):
        raise UsageError(f"has {len(found)} files, numFilesPerScan or NrFilesPerSweep is {count}", file=first)
    return found


def exists(first: Path) -> bool:
    """Whether there is what `raw_files` takes: a file, a folder, or a file that fits the pattern."""
    return first.exists() or (has_pattern(first) and any(first.parent.glob(first.name)))


def has_pattern(path: Path) -> bool:
    """Whether a name stands for all files that fit it; a file of just this name is meant itself."""
    return bool(_PATTERN.search(path.name)) and not path.exists()


def _is_image(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and decompressed.plain(path).suffix.lower() in _IMAGES


def _in_order(paths: Iterator[Path]) -> list[Path]:
    """Sorted by name, numbers in it as numbers: 9 comes before 10."""

    def key(path: Path) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]

    return sorted(paths, key=key)


def consecutive(first: Path, count: int) -> list[Path]:
    """`count` files that follow each other: the last number in the stem goes up, its width stays."""
    if count == 1:
        return [first]
    inner = decompressed.plain(first)
    ending = first.name.removeprefix(inner.stem)
    if re.fullmatch(r"\.ge\d?", Path(inner.stem).suffix.lower()):  # scan_000001.ge5.h5
        ending = Path(inner.stem).suffix + ending
    stem = first.name.removesuffix(ending)
    number = LAST_NUMBER.search(stem)
    if number is None:
        raise UsageError(f"a scan of {count} files needs a number in the file name", file=first)
    width = len(number[1])
    start, end = number.span(1)
    names = [f"{stem[:start]}{int(number[1]) + i:0{width}d}{stem[end:]}{ending}" for i in range(count)]
    return [first.with_name(name) for name in names]
