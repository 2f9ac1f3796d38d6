"""Frames of an existing ``.MIDAS.zip``, to be written again with other parameters.

See docs/theory/archive.md#existing-archives.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive, FrameStack
from midas.archive.writer import Frame
from midas.convert.source import Reading, checked_pixels
from midas.parameters import SCAN
from midas.runtime.errors import ArchiveError


class ArchivedFrames:
    """One stack of an archive: its frames, or its dark."""

    def __init__(self, path: Path, reading: Reading):
        location = reading.location
        self.path = path
        self._archive = Archive(path)
        array = self._archive.dataset(location)
        if array is None:
            raise ArchiveError("is missing", file=path, key=location)
        self._stack = FrameStack(array)
        self.shape = self._stack.shape
        self.dtype = checked_pixels(self._stack.dtype, path, location)
        self.omegas = self._recorded_omegas()

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        return (partial(self._stack.__getitem__, i) for i in range(first, self.shape[0]))

    def masked(self) -> NDArray[np.bool_] | None:
        return None  # its mask goes over as it is

    def extra(self, path: str) -> NDArray[np.generic] | None:
        """A small array that goes over into the new archive as it is (mask, flood)."""
        array = self._archive.dataset(path)
        return None if array is None else array.read()

    def extra_exists(self, path: str) -> bool:
        return self._archive.dataset(path) is not None

    def _recorded_omegas(self) -> NDArray[np.float64] | None:
        """Angles of the single frames. Start and step belong to the parameters, which are written anew."""
        return self._archive.omegas if self._archive.dataset(f"{SCAN}omegaCenter") is not None else None
