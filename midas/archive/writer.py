"""Writing a ``.MIDAS.zip`` so that this suite, Zarr and the legacy programs read it.

See docs/theory/archive.md#rules-for-writers.

The legacy readers find a frame by counting members from the first one and a dataset by part of its name. Hence the
rules that `ArchiveWriter` keeps: the frames of a stack are consecutive and ascending, none is left out, every chunk is
one Blosc-1 frame, and no other name contains the name of a dataset that these readers look for.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.archive.zarr_array import FRAME_CODEC, SMALL_CODEC, SPARSE_CODEC, ArrayMetadata, Pixel, encode
from midas.archive.zip_container import Member, ZipWriter
from midas.parameters import ANALYSIS, SCAN, Parameters
from midas.runtime.errors import OutputError
from midas.runtime.files import atomic_output
from midas.runtime.parallel import ordered_map, thread_count
from midas.runtime.room import need_disk

log = logging.getLogger(__name__)

DATA, DARK, BRIGHT, MASK, FLOOD = (f"exchange/{name}" for name in ("data", "dark", "bright", "mask", "flood"))
DATATYPE = f"{SCAN}datatype"

_GROUPS = (
    *("", "exchange", "measurement", "measurement/process", SCAN.rstrip("/")),
    *("analysis", "analysis/process", ANALYSIS.rstrip("/")),
)
STACKS = (DATA, DARK, BRIGHT)
#: frames of a stack whose size tells how large all will be
_SAMPLE = 16
#: a frame, or a function that makes it, which one of the compressing threads then calls
Frame: TypeAlias = NDArray[Pixel] | Callable[[], NDArray[Pixel]]

#: a frame with fewer pixels than this part that are not 0 is sparse
SPARSE = 0.25

GROUP_DOCUMENT = b'{\n    "zarr_format": 2\n}'
#: parts of a name by which the legacy programs recognise a dataset
_RESERVED = (f"{DATA}/", f"{DARK}/", f"{MASK}/", f"{FLOOD}/", SCAN, ANALYSIS)


class ArchiveWriter:
    """A new archive; it gets its name when the ``with`` block ends without an error.

    Parameters
    ----------
    path : of the archive
    shape : frames, rows along Z, columns along Y; -1 frames: as many as come
    dtype : of the pixels; kept, little-endian
    threads : that compress (None: one per available core); the bytes written do not depend on it
    keep_old : an archive that stands under this name is kept as ``<name>.old``
    bare : only the frames, without the groups of the parameters, as the legacy simulator writes it; whoever adds
        parameters to such an archive expects that none are there

    Frames pass through: at most a few per thread are in memory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        dtype: np.dtype[np.generic] | type,
        *,
        threads: int | None = None,
        keep_old: bool = False,
        bare: bool = False,
    ):
        self.path = Path(path)
        self.shape = shape
        self.dtype = np.dtype(dtype).newbyteorder("<")
        if self.dtype.kind not in "iuf":
            raise ValueError(f"pixels of type {self.dtype}")
        if self.shape[1] * self.shape[2] * self.dtype.itemsize >= 1 << 31:
            raise OutputError("a frame has 2 GiB or more; archives cannot hold it", file=path)
        self._threads = thread_count(threads)
        self._bare = bare
        self._output = atomic_output(self.path, keep_old=keep_old)
        self._members: dict[str, Member] = {}
        self._empty_chunk: tuple[bytes, int] | None = None

    def __enter__(self) -> ArchiveWriter:
        self._stream: IO[bytes] = self._output.__enter__()
        try:
            self._zip = ZipWriter(self._stream)
            for group in _GROUPS[:2] if self._bare else _GROUPS:
                self._add_group(group)
        except BaseException as error:
            self._output.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._finish()
            except BaseException as failure:
                self._output.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._output.__exit__(kind, error, trace)

    def add_frames(self, path: str, shape: tuple[int, int, int], frames: Iterable[Frame]) -> None:
        """Write a stack of frames (``exchange/data``, ``exchange/dark``).

        Parameters
        ----------
        path : name of the stack
        shape : frames, rows, columns; for ``exchange/data`` that of the writer
        frames : 2-D arrays in ascending order (which must not change after they were handed over), or functions that
            make them, which the compressing threads call
        """
        self.add_compressed(path, shape, ordered_map(self.compress, frames, self._threads))

    def add_compressed(self, path: str, shape: tuple[int, int, int], chunks: Iterable[tuple[bytes, int]]) -> None:
        """Write a stack of frames that are compressed already; `chunks` are pairs as `compress` returns them."""
        if shape[1:] != self.shape[1:] or (path == DATA and shape != self.shape):
            raise ValueError(f"{path} of shape {shape} in an archive of {self.shape}")
        for name, size in {DATA: self.shape, path: shape}.items():  # the data come first, as in legacy archives
            if name not in self:
                self._add_stack(name, size)
        count, start = 0, self._stream.tell()
        for chunk, crc in chunks:
            self._add_member(f"{path}/{count}.0.0", chunk, crc)
            count += 1
            if count == _SAMPLE:
                self._check_room(shape[0] - count, (self._stream.tell() - start) / count)
        if path == DATA and shape[0] < 0:
            self.shape = (count, *shape[1:])
            zarray, document = f"{path}/.zarray", self.stack_metadata(self.shape, self.dtype).document()
            self._members[zarray] = self._zip.add(zarray, document)
        elif count != shape[0]:
            raise ValueError(f"{path}: {count} frames came, {shape[0]} were announced")

    def _check_room(self, left: int, each: float) -> None:
        """Whether the disk has room for the frames that are left, should they compress twice as well as the first."""
        need_disk(self.path, left * each / 2, f"the archive, with {left} more frames like the first {_SAMPLE},")

    def _add_stack(self, name: str, size: tuple[int, int, int]) -> None:
        """Announce a stack; while its number of frames is not known, this only keeps the place in the directory."""
        if size[0] >= 0:
            self._add_member(f"{name}/.zarray", self.stack_metadata(size, self.dtype).document())
        else:
            self._members[f"{name}/.zarray"] = Member("", 0, 0, 0, 0, 0, 0, b"")
        if self._bare:
            self._add_member(f"{name}/.zattrs", json.dumps({"_ARRAY_DIMENSIONS": size}).encode())

    def add_copy(self, source: str, target: str) -> None:
        """Write a stack again under a second name, chunk by chunk, without coding it again."""
        self._stream.flush()
        with open(self._stream.name, "rb") as reader:
            for name, member in list(self._members.items()):
                if name.startswith(f"{source}/"):
                    reader.seek(member.offset + len(member.name.encode()) + 30)
                    content = reader.read(member.stored_size)
                    self._add_member(target + name.removeprefix(source), content, member.crc)

    def add_dataset(self, path: str, values: ArrayLike) -> None:
        """Write a small array as a single chunk: a parameter, a mask, metadata of the scan."""
        for name, content in dataset_members(path, np.asarray(values)):
            self._add_member(name, content)

    def add_datatype(self) -> None:
        """Write the name of the pixel type, in the raw form in which the legacy programs look for it."""
        name = self.dtype.name.encode()
        metadata = ArrayMetadata((), (), np.dtype(f"S{len(name)}"), fill_value="")
        self._add_member(f"{DATATYPE}/.zarray", metadata.document())
        self._add_member(f"{DATATYPE}/0", name)

    def add_parameters(self, parameters: Parameters) -> None:
        """Write every parameter under its name and with its type in the archive."""
        self._datatype_if_missing()
        for path, values in parameters.archive_datasets():
            self.add_dataset(path, values)

    def add_group(self, path: str) -> None:
        """Make sure that a group and those above it exist."""
        for group in ancestors(path, self._members):
            self._add_group(group)

    def accepts(self, path: str) -> bool:
        """Whether a dataset of that name can be added: its name is free, and means nothing to a legacy reader."""
        names = (f"{path}/.zarray", f"{path}/.zgroup")
        return not _misleading(names[0]) and not any(name in self._members for name in names)

    def __contains__(self, path: str) -> bool:
        return f"{path}/.zarray" in self._members

    def compress(self, item: Frame) -> tuple[bytes, int]:
        """Chunk and checksum of a frame; any number of threads may call this at once."""
        frame = item() if callable(item) else item
        if frame.shape != self.shape[1:]:
            raise ValueError(f"a frame has shape {frame.shape}, not {self.shape[1:]}")
        frame = np.ascontiguousarray(frame, self.dtype)
        filled = np.count_nonzero(frame.view(f"u{self.dtype.itemsize}"))  # bits, not numbers: -0.0 is kept
        if filled:
            return _checked(encode(frame, SPARSE_CODEC if filled < SPARSE * frame.size else FRAME_CODEC))
        if self._empty_chunk is None:
            self._empty_chunk = _checked(encode(frame, FRAME_CODEC))
        return self._empty_chunk

    @staticmethod
    def stack_metadata(shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> ArrayMetadata:
        return ArrayMetadata(shape, (1, *shape[1:]), dtype, FRAME_CODEC, fill_value=_zero(dtype))

    def _add_group(self, group: str) -> None:
        self._add_member(f"{group}/.zgroup" if group else ".zgroup", GROUP_DOCUMENT)

    def _add_member(self, name: str, content: bytes, crc: int | None = None) -> None:
        if name in self._members:
            raise ValueError(f"{name} is written twice")
        _refuse_reserved(name)
        self._members[name] = self._zip.add(name, content, crc)

    def _datatype_if_missing(self) -> None:
        if DATATYPE not in self:
            self.add_datatype()

    def _finish(self) -> None:
        if self.shape[0] and f"{DATA}/0.0.0" not in self._members:
            raise ValueError(f"{DATA} was not written")
        if not self._bare:
            self._datatype_if_missing()
        end = self._zip.write_directory(self._members.values())
        self._stream.write(end)


def dataset_members(path: str, values: NDArray[np.generic]) -> list[tuple[str, bytes]]:
    """Names and contents of the members of a small array."""
    values = normalised(values)
    metadata = ArrayMetadata(values.shape, values.shape, values.dtype, SMALL_CODEC, fill_value=_zero(values.dtype))
    chunk = ".".join("0" * values.ndim)
    members = [(f"{path}/.zarray", metadata.document()), (f"{path}/{chunk}", encode(values, SMALL_CODEC))]
    for name, _ in members:
        _refuse_reserved(name)
    return members


def normalised(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """As it is stored: at least one dimension, little-endian, text as bytes of a fixed length."""
    if values.dtype.kind in "UO":
        values = np.array([os.fsencode(str(text)) for text in values.ravel()]).reshape(values.shape)
    if values.size == 0:
        raise ValueError("an empty array cannot be stored: readers expect a chunk")
    if values.dtype.itemsize == 0:  # an empty text
        values = values.astype("S1")
    if values.dtype.kind not in "iufS":
        raise ValueError(f"arrays of type {values.dtype} cannot be stored")
    return np.ascontiguousarray(np.atleast_1d(values), values.dtype.newbyteorder("<"))


def _zero(dtype: np.dtype[np.generic]) -> int | float | str:
    zeros: dict[str, int | float | str] = {"f": 0.0, "S": ""}
    return zeros.get(dtype.kind, 0)


def _checked(chunk: bytes) -> tuple[bytes, int]:
    return chunk, zlib.crc32(chunk)


def ancestors(group: str, present: Iterable[str]) -> list[str]:
    """The group and those above it that do not exist yet, from the root downwards."""
    present = present if isinstance(present, (set, dict)) else set(present)
    parts = PurePosixPath(group).parts
    groups = ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]
    return [g for g in groups if (f"{g}/.zgroup" if g else ".zgroup") not in present]


def _refuse_reserved(name: str) -> None:
    if part := _misleading(name):
        raise ValueError(f"{name} contains {part}, which legacy readers would take for the dataset of that name")


def _misleading(name: str) -> str:
    """The part of a name by which a legacy reader takes it for something else; empty if there is none."""
    return next((part for part in _RESERVED if part in name and not name.startswith(part)), "")
