"""The raw files of one scan: their names, and their frames one after the other.

See docs/theory/archive.md#names-of-a-scan.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.readers import open_source
from midas.convert.source import FrameSource, Reading
from midas.formats.layer import archive_name
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, UsageError

log = logging.getLogger(__name__)


class Sweep:
    """The frames of one scan, from one or several files.

    Parameters
    ----------
    paths : the raw files in order
    reading : what the user says about them
    skipped : leading frames of each file that are no data. Those of the first file stay in the archive, whose readers
        skip them; those of the others are left out.
    block : frames read at once; -1 = as many as is good
    """

    def __init__(self, paths: list[Path], reading: Reading, skipped: int, block: int = -1):
        self.sources: list[FrameSource] = [open_source(path, reading) for path in paths]
        self._skipped = skipped
        self._block = block
        first = self.sources[0]
        for source in self.sources:
            _check_alike(source, first)
            if source.shape[0] <= skipped:
                raise FormatError(f"has {source.shape[0]} frames, SkipFrame is {skipped}", file=source.path)
        count = sum(source.shape[0] for source in self.sources) - skipped * (len(self.sources) - 1)
        self.shape: tuple[int, int, int] = (count, first.shape[1], first.shape[2])
        self.dtype: np.dtype[Pixel] = first.dtype

    @property
    def omegas(self) -> NDArray[np.float64] | None:
        """The angle at which each frame begins, if every file has it."""
        parts = []
        for source, first in self._parts():
            if source.omegas is None:
                return None
            parts.append(source.omegas[first:])
        return np.concatenate(parts)

    def masked(self) -> NDArray[np.bool_] | None:
        """Pixels that any of the files says measure nothing."""
        masks = [mask for source in self.sources if (mask := source.masked()) is not None]
        return np.logical_or.reduce(masks) if masks else None

    def frames(self) -> Iterator[Frame]:
        for number, (source, first) in enumerate(self._parts(), 1):
            log.info("Processing file %d/%d: %s", number, len(self.sources), source.path)
            yield from source.frames(first, self._block)

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
    if source.shape[0] < first.shape[0]:
        reason = f"has {source.shape[0]} frames, the first file of the scan has {first.shape[0]}; is it complete?"
        raise FormatError(reason, file=source.path)


def scan_names(parameters: Parameters, layer: int, *, any_layer: bool = False) -> tuple[Path, str]:
    """First raw file and name of the archive, from the parameter file, or from `dataFN` for the first layer.

    With `any_layer` the file of `dataFN` is the scan of this layer, whatever its number.
    """
    given = parameters.get("dataFN", "")
    if given and (layer == 1 or any_layer):
        return Path(given), archive_name(given, layer)
    number = parameters["StartFileNrFirstLayer"] + (layer - 1) * parameters["NrFilesPerSweep"]
    name = f"{parameters['FileStem']}_{number:0{parameters['Padding']}d}"
    return Path(parameters["RawFolder"]) / f"{name}{parameters['Ext']}", f"{name}.MIDAS.zip"


def consecutive(first: Path, count: int) -> list[Path]:
    """`count` files that follow each other: the last number in the stem goes up, its width stays."""
    if count == 1:
        return [first]
    ending = first.suffix
    if ending.lower() == ".bz2":
        ending = first.with_suffix("").suffix + ending
    stem = first.name.removesuffix(ending)
    number = re.search(r"(\d+)(?=\D*$)", stem)
    if number is None:
        raise UsageError(f"a scan of {count} files needs a number in the file name", file=first)
    width = len(number[1])
    start, end = number.span(1)
    names = [f"{stem[:start]}{int(number[1]) + i:0{width}d}{stem[end:]}{ending}" for i in range(count)]
    return [first.with_name(name) for name in names]
