"""Fast writing of HDF5: many small datasets cost 20 µs each through the low-level interface, 400 through the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5o, h5p, h5s, h5t
from numpy.typing import ArrayLike, NDArray

from midas.runtime.errors import OutputError
from midas.runtime.files import readable

#: what the low-level interface of h5py, which has no types, works with: a file, group, dataset or data space
Identifier: TypeAlias = Any

_TYPES = {"f": h5t.IEEE_F64LE, "i": h5t.STD_I64LE}
_DTYPES = {"f": np.dtype("<f8"), "i": np.dtype("<i8")}
_STRING = h5py.string_dtype()
_TEXT = h5t.py_create(_STRING, logical=True)
# No time stamps: the same results are the same bytes.
_DATASET = h5p.create(h5p.DATASET_CREATE)
_DATASET.set_obj_track_times(False)
_DATASET.set_fill_time(h5d.FILL_TIME_NEVER)
_TEXT_DATASET = h5p.create(h5p.DATASET_CREATE)
_TEXT_DATASET.set_obj_track_times(False)
_GROUP = h5p.create(h5p.GROUP_CREATE)
_GROUP.set_obj_track_times(False)
_SPACES: dict[tuple[int, ...], Identifier] = {(): h5s.create(h5s.SCALAR)}


@contextmanager
def atomic_hdf5(path: str | os.PathLike[str]) -> Iterator[Group]:
    """The root group of a file that gets its name only once it is complete."""
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        with h5py.File(partial, "w") as file:
            yield Group(file.id)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # h5py reports a full disk as either of the two
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot be written ({error})", file=path) from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


class Group:
    """A group that is being written."""

    __slots__ = ("_id",)

    def __init__(self, identifier: Identifier):
        self._id = identifier

    def group(self, name: str) -> Group:
        """A new group in this one."""
        return Group(h5g.create(self._id, name.encode(), gcpl=_GROUP))

    def copy_from(self, source: Identifier, name: str) -> None:
        """A group or dataset of another file."""
        h5o.copy(source, name.encode(), self._id, name.encode())

    def put(self, name: str, value: ArrayLike, **attributes: str) -> None:
        """A dataset of float64 or int64 numbers, contiguous, with attributes of text."""
        array = np.asarray(value)
        kind = "f" if array.dtype.kind == "f" else "i"
        array = np.ascontiguousarray(array, _DTYPES[kind]).reshape(array.shape)
        dataset = h5d.create(self._id, name.encode(), _TYPES[kind], _space(array.shape), _DATASET)
        if array.size:
            dataset.write(h5s.ALL, h5s.ALL, array)
        for key, text in attributes.items():
            _attach(dataset, key, text)

    def put_text(self, name: str, text: str) -> None:
        """A scalar dataset of text."""
        dataset = h5d.create(self._id, name.encode(), _TEXT, _space(()), _TEXT_DATASET)
        dataset.write(h5s.ALL, h5s.ALL, np.array(readable(text), dtype=_STRING))

    def attach(self, **attributes: str | int) -> None:
        """Attributes of the group: text, or a whole number."""
        for key, value in attributes.items():
            _attach(self._id, key, value)

    def put_columns(self, name: str, value: NDArray[np.float64] | NDArray[np.int64], columns: Sequence[str]) -> None:
        """A table: the names of its columns stand on the dataset and on this group."""
        self.put(name, value)
        self.dataset(name).attach_names("column_names", columns)
        self.attach_names("column_names", columns)

    def dataset(self, name: str) -> Group:
        """A dataset of this group, to attach something to."""
        return Group(h5d.open(self._id, name.encode()))

    def attach_names(self, key: str, names: Sequence[str]) -> None:
        """An attribute that is a list of texts."""
        attribute = h5a.create(self._id, key.encode(), _TEXT, _space((len(names),)))
        attribute.write(np.array([readable(name) for name in names], dtype=_STRING))


def _space(shape: tuple[int, ...]) -> Identifier:
    space = _SPACES.get(shape)
    if space is None:
        space = h5s.create_simple(shape)
        if len(_SPACES) < 1000:
            _SPACES[shape] = space
    return space


def _attach(identifier: Identifier, key: str, value: str | int) -> None:
    if isinstance(value, str):
        attribute = h5a.create(identifier, key.encode(), _TEXT, _space(()))
        attribute.write(np.array(readable(value), dtype=_STRING))
    else:
        attribute = h5a.create(identifier, key.encode(), _TYPES["i"], _space(()))
        attribute.write(np.array(value, _DTYPES["i"]))
