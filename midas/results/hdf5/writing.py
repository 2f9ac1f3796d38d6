"""Fast writing of HDF5: small datasets through the low-level interface of h5py, large ones and many without it."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5o, h5p, h5r, h5s, h5t
from numpy.typing import ArrayLike, NDArray

from midas.results.hdf5.objects import Appender, add_links, end_of_file, place_of_layout, set_end_of_file
from midas.runtime.errors import OutputError
from midas.runtime.files import keep_devices, readable
from midas.runtime.part_files import part
from midas.runtime.room import need_disk

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


#: of all that the library writes: the oldest forms that serve, for readers of any age
_VERSIONS = ("earliest", "v110")
#: arrays of more bytes do not go through the library
_LARGE = 4096
#: what the links to objects of our own take in the file at most, each and together
_LINK_BYTES, _LINKS_BYTES = 1024, 1 << 16

#: writes objects behind everything else, and says which groups are to have a link of which name to which address
Later: TypeAlias = Callable[[Appender], Iterable[tuple[str, str, int]]]


@contextmanager
def atomic_hdf5(path: str | os.PathLike[str]) -> Iterator[Group]:
    """The root group of a file that gets its name only once it is complete.

    The library works in memory: a disk that is full would crash it. Large arrays and what is written `later` go to the
    file without it, and last, in space that is already there, it links the latter.
    """
    path = Path(path)
    keep_devices(path)
    try:
        with part(path) as partial:
            with h5py.File(f"{partial.path}.memory", "w", driver="core", backing_store=False, libver=_VERSIONS) as file:
                made = _Made()
                yield Group(file.id, made)
                addresses = _reference_dataset(file, made)
                file.flush()
                image = bytearray(file.id.get_file_image())
            need_disk(path, len(image) + made.size, "the file")
            links = made.write(image, addresses, partial.stream)
            partial.complete()
            if links:
                reserve(partial.path, _LINKS_BYTES + _LINK_BYTES * len(links))
                try:
                    _link(partial.path, links)
                except KeyError as error:  # so h5py says that the library has refused an object
                    raise RuntimeError(error.args[0]) from None
            partial.take_name()
    except (OSError, RuntimeError) as error:  # h5py reports what it cannot do as either of the two
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise OutputError(f"cannot be written ({reason})", file=path) from None


def reserve(path: Path, size: int) -> None:
    """Let a file have more bytes than it needs, which the library takes for what it adds, and cuts off at the end.

    A disk that is full or a quota shows here, as an error, and not in the library, which would crash.
    """
    block = bytes(1 << 16)
    with open(path, "ab") as stream:
        for _ in range(-(-size // len(block))):
            stream.write(block)


#: objects that are looked at before a file gets its name
_MOST_READ = 200

#: a dataset that is there while the file is made: what is to be linked
_REFERENCES = "references"


def _reference_dataset(file: h5py.File, made: _Made) -> int:
    """Where the dataset is that leads to the objects to be linked; 0 if there are none."""
    if not made.count:
        return 0
    dataset = h5d.create(file.id, _REFERENCES.encode(), h5t.STD_REF_OBJ, _space((made.count,)), _DATASET)
    return int(h5o.get_info(dataset).addr)


class _Made:
    """What is to go into a file beside what the library makes.

    Attributes
    ----------
    arrays : address of the header of a dataset, its numbers, and the type of these in the file
    later : what writes objects
    count : links that it will ask for
    extra : further links to an object of the library, by its address
    """

    def __init__(self) -> None:
        self.arrays: list[tuple[int, NDArray[Any], np.dtype[Any]]] = []
        self.later: list[Later] = []
        self.count = 0
        self.extra: Counter[int] = Counter()

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(array.size * dtype.itemsize for _, array, dtype in self.arrays)

    def write(self, image: bytearray, references: int, stream: IO[bytes]) -> list[tuple[str, str, int]]:
        """The whole file but for the links, which are returned."""
        if end_of_file(image) != len(image):
            raise ValueError("the library has left a file of another length")
        out = Appender(stream)
        out.write(bytes(len(image)))  # its place; it is complete only at the end
        for header, array, dtype in self.arrays:
            struct.pack_into("<Q", image, place_of_layout(image, header), out.array(array, dtype))
        links = [link for write in self.later for link in write(out)]
        if references:
            if len(links) != self.count:
                raise ValueError(f"{len(links)} links instead of {self.count}")
            address = out.write(np.array([target for _, _, target in links], "<u8"))
            struct.pack_into("<Q", image, place_of_layout(image, references), address)
        for header, count in self.extra.items():
            add_links(image, header, count)
        end = out.end
        stream.seek(0)
        stream.write(image)
        set_end_of_file(stream, end)
        stream.seek(end)
        return links


def _link(path: Path, links: Sequence[tuple[str, str, int]]) -> None:
    """Link our own objects into groups of the library, and see that it finds these and all below some of them."""
    # The lock of the library would be a second one beside that of the part file.
    with h5py.File(path, "r+", libver=_VERSIONS, locking=False) as file:
        for (group, name, _), reference in zip(links, file[_REFERENCES][:], strict=True):
            h5o.link(h5r.dereference(reference, file.id), h5g.open(file.id, group.encode()), name.encode())
        del file[_REFERENCES]
    with h5py.File(path, "r", locking=False) as file:
        for group, name, address in (links[0], links[len(links) // 2], links[-1]):
            linked = file[group][name].id
            if h5o.get_info(linked).addr != address:
                raise RuntimeError(f"this HDF5 library does not find {group}/{name}")
            _read_headers(linked)


def _read_headers(group: Identifier) -> None:
    """Have the library read the first of the objects below a group; the others are of the same makes."""
    left = _MOST_READ

    def read(_: bytes) -> bool | None:
        nonlocal left
        left -= 1
        return None if left else True

    h5o.visit(group, read)


#: letters of a name that comes from data
_LONGEST_NAME = 200


def plain_name(text: str) -> str:
    """A text of data as the name of one object in a group: no path, and not the group itself."""
    name = readable(text)[:_LONGEST_NAME].replace("/", "_")
    return "_" if name in ("", ".") else name


class Group:
    """A group that is being written."""

    __slots__ = ("_id", "_made")

    def __init__(self, identifier: Identifier, made: _Made):
        self._id, self._made = identifier, made

    def group(self, name: str) -> Group:
        """A new group in this one."""
        return Group(h5g.create(self._id, name.encode(), gcpl=_GROUP), self._made)

    def later(self, write: Later, links: int) -> None:
        """Have objects written behind everything else, so many of which are to be linked."""
        self._made.later.append(write)
        self._made.count += links

    def commit(self, name: str, dtype: np.dtype[np.void]) -> int:
        """A type under a name in this group, for datasets that `later` writes; its address."""
        committed = h5t.py_create(dtype, logical=True)
        committed.commit(self._id, name.encode())
        return int(h5o.get_info(committed).addr)

    def used(self, address: int, count: int) -> None:
        """So many datasets are of a committed type."""
        self._made.extra[address] += count

    def copy_from(self, source: Identifier, name: str) -> None:
        """A group or dataset of another file."""
        h5o.copy(source, name.encode(), self._id, name.encode())

    def put(self, name: str, value: ArrayLike, **attributes: str) -> None:
        """A dataset of float64 or int64 numbers, contiguous, with attributes of text."""
        array = np.asarray(value)
        kind = "f" if array.dtype.kind == "f" else "i"
        dataset = h5d.create(self._id, name.encode(), _TYPES[kind], _space(array.shape), _DATASET)
        if array.nbytes > _LARGE:
            self._made.arrays.append((int(h5o.get_info(dataset).addr), array, _DTYPES[kind]))
        elif array.size:
            dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array, _DTYPES[kind]).reshape(array.shape))
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
        return Group(h5d.open(self._id, name.encode()), self._made)

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
