"""Opening HDF5 files and following their links (docs/theory/archive.md#links-in-hdf5).

Links may lead to other files, to nothing, and in a circle. The library follows them without a word of which file it
looked for; here each step is taken alone, so that an error can name it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import h5py
import hdf5plugin  # noqa: F401  registers the filters of detector software

from midas.runtime.errors import FormatError, one_line

Item: TypeAlias = h5py.Group | h5py.Dataset

_FAILURES = (OSError, RuntimeError, KeyError, ValueError)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, with the library's errors, while it is open, as errors about this file."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _FAILURES as error:
        raise FormatError(f"cannot be read as HDF5 ({one_line(error)})", file=path) from None


def item_at(group: h5py.Group, location: str) -> Item | None:
    """The group or dataset of that name, or None.

    Raises
    ------
    FormatError : a link on the way leads to a file that is missing, or that does not have what the link names.
    """
    item: Item | None = group.file if location.startswith("/") else group
    for name in location.split("/"):
        if name in ("", "."):
            continue
        if not isinstance(item, h5py.Group):
            return None
        item = _followed(item, name)
    return item


def child(group: h5py.Group, name: str) -> Item | None:
    """What a name of a group leads to; None for links that lead nowhere or in a circle, and for named types."""
    try:
        item = group.get(name)
    except _FAILURES:
        return None
    return item if isinstance(item, (h5py.Group, h5py.Dataset)) else None


def children(group: h5py.Group) -> Iterator[tuple[str, Item]]:
    """Names of a group and what they lead to."""
    for name in group:
        if (item := child(group, name)) is not None:
            yield name, item


def missing_target(group: h5py.Group, name: str) -> str:
    """The file to which an external link leads, if that is not there; else nothing."""
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink) and located(Path(group.file.filename), link.filename) is None:
        return str(link.filename)
    return ""


def located(main: Path, name: str) -> Path | None:
    """The file that an HDF5 file names in a link or as source of a virtual dataset; None if it is nowhere.

    Sought as the library does: under an absolute name, beside the naming file, under its bare name there, and in the
    current folder.
    """
    folders = dict.fromkeys((main.parent, main.resolve().parent))
    places = [Path(name)] if Path(name).is_absolute() else []
    places += [folder / part for part in (name, Path(name).name) for folder in folders]
    return next((place for place in [*places, Path(name)] if place.is_file()), None)


def identity(item: Item) -> tuple[int, int]:
    """The same for every name under which an object can be reached."""
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def attribute(item: Item, name: str) -> str:
    """An attribute as text; empty if there is none, or if it is no text."""
    try:
        value = item.attrs.get(name, "")
    except _FAILURES:
        return ""
    if getattr(value, "size", 0) == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def _followed(group: h5py.Group, name: str) -> Item | None:
    item = child(group, name)
    link = group.get(name, getlink=True) if item is None else None
    if not isinstance(link, h5py.ExternalLink):
        return item
    reason = f"links to {link.filename}, which is missing; put the file beside this one"
    if (target := located(Path(group.file.filename), link.filename)) is not None:
        reason = f"links to {link.path} in {target}, where it cannot be read"
    raise FormatError(reason, file=group.file.filename, key=f"{group.name.rstrip('/')}/{name}".lstrip("/"))
