"""The ``.MIDAS.zip``: frames, dark, mask and parameters of one scan, as Zarr 2 arrays in a ZIP file.

See docs/theory/archive.md#archive-layout.

Reading; what writes is in `midas.archive.writer`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive.writer import DARK, DATA, FLOOD, MASK
from midas.archive.zarr_array import Pixel, StoredArray, is_pixel
from midas.archive.zip_container import ZipReader
from midas.parameters import ANALYSIS, SCAN, Parameters
from midas.runtime.errors import ArchiveError
from midas.runtime.limits import odd_size

log = logging.getLogger(__name__)

#: datasets of the scan group that are no parameters: one value per frame, or written for other programs
_NO_PARAMETERS = {"datatype", "omegaCenter", "startOmeOverride", "Pressure", "Temperature", "I", "I0"}


def _is_chunk(name: str) -> bool:
    """Whether a member holds frames; of an array that is not empty at least one does."""
    return name.startswith(f"{DATA}/") and not name.startswith(f"{DATA}/.z")


class FrameStack:
    """Frames of equal size that stay in the file until they are asked for.

    Attributes
    ----------
    shape : (frames, rows along Z, columns along Y)
    dtype : type of the pixels, in the byte order of this machine
    fill : pixels of frames that are not stored
    """

    def __init__(self, array: StoredArray):
        if len(array.shape) != 3:
            reason = f"has {len(array.shape)} dimensions instead of frame, row and column"
            raise ArchiveError(reason, file=array.file, key=array.path)
        if reason := odd_size(array.shape, array.dtype.itemsize, array.container.size):
            raise ArchiveError(reason, file=array.file, key=array.path)
        self._array = array
        self.shape: tuple[int, int, int] = array.shape
        if not is_pixel(array.dtype):
            raise ArchiveError(f"has pixels of type {array.dtype}", file=array.file, key=array.path)
        self.dtype: np.dtype[Pixel] = array.dtype
        self.fill: float = array.metadata.fill()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> NDArray[Pixel]:
        out = np.empty(self.shape[1:], self.dtype)
        self.read_into(frame, out)
        return out

    def __iter__(self) -> Iterator[NDArray[Pixel]]:
        return (self[frame] for frame in range(len(self)))

    def read_into(self, frame: int, out: NDArray[np.generic]) -> None:
        """Decode a frame into `out`, an array of its shape.

        Any number of threads may do so at once, and the interpreter lock is released meanwhile. A frame whose chunk is
        not stored has the fill value of the array.

        Raises
        ------
        IndexError : the stack has no such frame.
        ArchiveError : the chunk is damaged; names file and member.
        """
        if not -len(self) <= frame < len(self):
            raise IndexError(f"frame {frame} of {len(self)}")
        if out.shape != self.shape[1:]:
            raise ValueError(f"frames have shape {self.shape[1:]}, the output has {out.shape}")
        self._array.read_frame(frame % len(self), out)


class Archive:
    """A ``.MIDAS.zip`` that is open for reading.

    Only the directory is read at first; frames and parameters when they are asked for. Arrays are found by name, with
    the shape, type, chunks and codec that their own ``.zarray`` documents state.

    Raises
    ------
    ArchiveError : the file is missing, damaged, or no archive of this kind; likewise from every attribute.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._container = ZipReader(self.path)
        try:
            self._check_layout()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def checksums(self) -> dict[str, int]:
        """The CRC of every member by its name: what tells archives apart without reading their frames."""
        return {name: member.crc for name, member in self._container.members.items()}

    def chunks(self, name: str) -> Iterator[tuple[bytes, int]]:
        """The frames of a stack as they are coded, in order, each with its CRC."""
        count = 0
        while (member := self._container.members.get(f"{name}/{count}.0.0")) is not None:
            yield self._container.read(member), member.crc
            count += 1

    @cached_property
    def frames(self) -> FrameStack:
        stack = self._stack(DATA)
        if stack is None:
            raise ArchiveError("is missing; this archive has no frames", file=self.path, key=DATA)
        if len(stack) and not stack.fill and not any(_is_chunk(name) for name in self._container.members):
            raise ArchiveError("has none of its chunks: the frames are missing", file=self.path, key=DATA)
        return stack

    @cached_property
    def dark(self) -> FrameStack | None:
        return self._matching_stack(DARK)

    @cached_property
    def mask(self) -> FrameStack | None:
        """Pixels not to use, 1 = masked, in raw detector orientation."""
        return self._matching_stack(MASK)

    @cached_property
    def flood(self) -> FrameStack | None:
        return self._stack(FLOOD)

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters of the analysis and of the scan, under their names in a parameter file."""
        values = {array.path: array.read() for array in self._parameter_arrays()}
        return Parameters.from_archive_values(values, self.path)

    @cached_property
    def omegas(self) -> NDArray[np.float64]:
        """The recorded angle of each frame in degrees: ``omegaCenter`` where it is given, else start + i·step."""
        count = len(self.frames)
        centres = self.dataset(f"{SCAN}omegaCenter")
        if centres is not None:
            try:
                omegas = np.array(centres.read(), np.float64).ravel()
            except (TypeError, ValueError):
                omegas = np.array([np.nan])
            if not np.isfinite(omegas).all():
                raise ArchiveError("must hold finite numbers", file=self.path, key=centres.path)
            if len(omegas) != count:
                reason = f"has {len(omegas)} angles for {count} frames"
                raise ArchiveError(reason, file=self.path, key=centres.path)
            return omegas
        start, step = self._scan_number("start"), self._scan_number("step")
        return np.array(start + step * np.arange(count), np.float64)

    def dataset(self, path: str) -> StoredArray | None:
        """The array of that name, or None."""
        return StoredArray(self._container, path) if f"{path}/.zarray" in self._container.members else None

    def datasets(self, prefix: str = "") -> list[str]:
        """The names of all arrays, or of those in and below a group, in the order of the archive's directory."""
        start = f"{prefix}/" if prefix else ""
        names = self._container.members
        return [n.removesuffix("/.zarray") for n in names if n.startswith(start) and n.endswith("/.zarray")]

    def _check_layout(self) -> None:
        names = self._container.members
        for name in names:
            if not name.strip() or name.startswith("./"):
                reason = "names in a Zarr archive start with neither a blank nor './'; pack the folder's content again"
                raise ArchiveError(reason, file=self.path, key=repr(name))
            if name == "zarr.json" or name.endswith("/zarr.json"):
                raise ArchiveError("is a Zarr 3 store; only format 2 can be read", file=self.path, key=name)
        if not any(name.endswith("/.zarray") for name in names):
            raise ArchiveError("is a ZIP file, but no .MIDAS.zip: it holds no arrays", file=self.path)

    def _stack(self, path: str) -> FrameStack | None:
        array = self.dataset(path)
        return None if array is None else FrameStack(array)

    def _matching_stack(self, path: str) -> FrameStack | None:
        stack = self._stack(path)
        if stack is not None and stack.shape[1:] != self.frames.shape[1:]:
            reason = f"has frames of {stack.shape[1:]} pixels, the data have {self.frames.shape[1:]}"
            raise ArchiveError(reason, file=self.path, key=path)
        return stack

    def _parameter_arrays(self) -> Iterator[StoredArray]:
        """The array of each parameter, in the order of the archive's directory."""
        for path in self.datasets():
            group, _, name = path.rpartition("/")
            if f"{group}/" == ANALYSIS or (f"{group}/" == SCAN and name not in _NO_PARAMETERS):
                yield StoredArray(self._container, path)

    def _scan_number(self, name: str) -> float:
        """A number of the scan group; 0 when it is not given, the last one when there are several."""
        array = self.dataset(f"{SCAN}{name}")
        if array is None:
            if name == "step" and len(self.frames) > 1:
                log.warning("%s: %sstep is missing: all frames have the same omega", self.path, SCAN)
            return 0.0
        values = array.read().ravel()
        if len(values) > 1:
            log.warning("%s: %s holds %d values; the last one is used", self.path, array.path, len(values))
        try:
            return float(values[-1])
        except (IndexError, ValueError, TypeError):
            raise ArchiveError("is not a number", file=self.path, key=array.path) from None
