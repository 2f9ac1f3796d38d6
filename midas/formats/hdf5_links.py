"""Opening HDF5 files and following their links (docs/theory/archive.md#links-in-hdf5).

Links may lead to other files, to nothing, and in a circle. The library follows them without a word of which file it
looked for; here each step is taken alone, so that an error can name it. Nothing is read from files that are not below
the folder of the user's file, unless the user allows it.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np
from h5py import h5a, h5l

from midas.formats.hdf5 import FAILURES, text_name
from midas.runtime.errors import FormatError, one_line
from midas.runtime.files import ordinary

log = logging.getLogger(__name__)

Item: TypeAlias = h5py.Group | h5py.Dataset

#: soft links may lead to soft links; more of them are a circle
_LONGEST_CHAIN = 16
#: an attribute of more bytes is none that tells a name or a number
_LARGEST_ATTRIBUTE = 1 << 16


@dataclass
class _Scope:
    """Where the files that a file names may be.

    Parameters
    ----------
    folders : and below; empty = anywhere
    advice : what the user can do about a file elsewhere
    named : targets of which it has been said that they are left out
    reached : the files that were named and may be read, after all symbolic links, in the order in which they were met
    asked : whether any file was named, wherever it is
    """

    folders: tuple[Path, ...]
    advice: str
    named: set[str] = field(default_factory=set)
    reached: dict[Path, None] = field(default_factory=dict)
    asked: bool = False


_scope: ContextVar[_Scope | None] = ContextVar("scope", default=None)


class _OutsideError(FormatError):
    """A link or a source outside the folders of the scope."""


@contextmanager
def opened(path: Path, links: bool | None = None) -> Iterator[h5py.File]:
    """The file, with the library's errors, while it is open, as errors about this file.

    Parameters
    ----------
    links : whether what the file names may be anywhere; None: it may not, and the user has no option for it. A file
        that is opened while another one is open, because that one names it, stays in the bounds of the other one.
    """
    ordinary(path)
    outer = _scope.get()
    folders = () if links else tuple(dict.fromkeys((path.absolute().parent.resolve(), path.resolve().parent)))
    advice = "copy what it holds into this one" if links is None else "-allowLinks 1 reads it nevertheless"
    token = _scope.set(outer or _Scope(folders, advice))
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FAILURES as error:
        raise FormatError(f"cannot be read as HDF5 ({one_line(error)})", file=path) from None
    finally:
        _scope.reset(token)


def item_at(group: h5py.Group, location: str) -> Item | None:
    """The group or dataset of that name, or None.

    Raises
    ------
    FormatError : a link on the way leads to a file that is missing or must not be read, or that does not have what the
        link names.
    """
    return _walked(group, location, _LONGEST_CHAIN)


def has_link(group: h5py.Group, location: str) -> bool:
    """Whether there is such a name, wherever it leads."""
    parent, _, name = location.rpartition("/")
    above = item_at(group, parent)
    return isinstance(above, h5py.Group) and above.id.links.exists(name.encode("utf-8", "surrogateescape"))


def child(group: h5py.Group, name: str) -> Item | None:
    """What a name of a group leads to; None for links that lead nowhere or in a circle, and for named types.

    A link to a file that must not be read is left out, with a warning.
    """
    try:
        return _followed(group, name, _LONGEST_CHAIN)
    except _OutsideError as error:
        scope = _scope.get()
        if scope is not None and str(error) not in scope.named:
            scope.named.add(str(error))
            log.warning("%s: it is left out", error)
        return None
    except (FormatError, *FAILURES):
        return None


def children(group: h5py.Group) -> Iterator[tuple[str, Item]]:
    """Names of a group and what they lead to."""
    for name in names(group):
        if (item := child(group, name)) is not None:
            yield name, item


def names(group: h5py.Group) -> list[str]:
    """The names in a group; bytes that are no text become escapes of Python."""
    return [text_name(name) for name in group]


def missing_target(group: h5py.Group, name: str) -> str:
    """The file to which an external link leads, if that is not there; else nothing.

    Raises
    ------
    FormatError : the link leads to a file that must not be read.
    """
    link = _external(group, name)
    if link is None:
        return ""
    target = located(Path(group.file.filename), link[0])
    if target is None:
        return link[0]
    check_inside(target, group.file.filename, _key(group, name))
    return ""


def located(main: Path, name: str) -> Path | None:
    """The file that an HDF5 file names in a link or as source of a virtual dataset; None if it is nowhere.

    Sought where the library does, in the same order, since that reads the first one that it finds: under an absolute
    name; then under its last part, or the relative name, beside the naming file, in the current folder, and where the
    naming file is after all symbolic links. A pipe or a device there is none, and ends the search as it would hers.
    """
    if scope := _scope.get():
        scope.asked = True
    wanted = Path(name)
    part = Path(wanted.name) if wanted.is_absolute() else wanted
    for place in ([wanted] if wanted.is_absolute() else []) + [main.parent / part, part, main.resolve().parent / part]:
        try:
            mode = place.stat().st_mode
        except (OSError, ValueError):  # also names that no file can have
            continue
        if not stat.S_ISDIR(mode):
            return place if stat.S_ISREG(mode) else None
    return None


def reached() -> list[Path]:
    """The files that were named so far by the one that is open, and by those that it names, and may be read."""
    scope = _scope.get()
    return [] if scope is None else list(scope.reached)


def names_others() -> bool:
    """Whether a file was named so far by the one that is open, be it there or not."""
    scope = _scope.get()
    return scope is not None and scope.asked


def check_inside(target: Path, file: str | os.PathLike[str], key: str) -> None:
    """FormatError for a file that must not be read because another file names it."""
    scope = _scope.get()
    real = target.resolve()
    if scope is None:
        return
    if not scope.folders or any(real.is_relative_to(folder) for folder in scope.folders):
        scope.reached[real] = None
        return
    reason = f"leads to {real}, which is not below the folder of this file; {scope.advice}"
    raise _OutsideError(reason, file=file, key=key)


def identity(item: Item) -> tuple[int, int]:
    """The same for every name under which an object can be reached."""
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def attribute(item: Item, name: str) -> str:
    """An attribute as text; empty if there is none, or if it is no text."""
    texts = attribute_texts(item, name)
    return texts[0] if len(texts) == 1 else ""


def attribute_texts(item: Item, name: str) -> list[str]:
    """An attribute of one or several texts; empty if there is none, or if it is no text."""
    try:
        if name not in item.attrs:
            return []
        stored = h5a.open(item.id, name.encode())
        if prod(stored.shape or (0,)) * stored.dtype.itemsize > _LARGEST_ATTRIBUTE or stored.dtype.kind not in "SO":
            return []
        content = np.atleast_1d(item.attrs[name]).ravel().tolist()
    except FAILURES:
        return []
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in content]
    return texts if all(isinstance(text, str) for text in texts) else []


def _walked(group: h5py.Group, location: str, left: int) -> Item | None:
    item: Item | None = group.file if location.startswith("/") else group
    for name in location.split("/"):
        if name in ("", "."):
            continue
        if not isinstance(item, h5py.Group):
            return None
        item = _followed(item, name, left)
    return item


def _followed(group: h5py.Group, name: str, left: int) -> Item | None:
    """What one name leads to, by one link after the other."""
    raw = name.encode("utf-8", "surrogateescape")
    try:
        kind = group.id.links.get_info(raw).type if group.id.links.exists(raw) else None
        if kind == h5l.TYPE_HARD:
            item = group[raw]
            return item if isinstance(item, (h5py.Group, h5py.Dataset)) else None
        if kind == h5l.TYPE_SOFT:
            target = group.id.links.get_val(raw).decode("utf-8", "surrogateescape")
            return _walked(group, target, left - 1) if left else None
    except FAILURES:
        return None
    link = _external(group, name)
    return None if link is None else _in_another_file(group, name, link, left)


def _in_another_file(group: h5py.Group, name: str, link: tuple[str, str], left: int) -> Item | None:
    """What an external link leads to: there must be such an object in such a file, which may be read."""
    file, location = link
    key = _key(group, name)
    target = located(Path(group.file.filename), file)
    reason = f"links to {file}, which is missing; put the file beside this one"
    if target is not None:
        check_inside(target, group.file.filename, key)
        reason = f"links to {location} in {target}, where it cannot be read"
        try:
            with opened(target) as other:
                there = left > 0 and _walked(other, location, left - 1) is not None
            item = group[name.encode("utf-8", "surrogateescape")] if there else None
        except _OutsideError:
            raise
        except (FormatError, *FAILURES):
            item = None
        if isinstance(item, (h5py.Group, h5py.Dataset)):
            check_inside(Path(item.file.filename), group.file.filename, key)
            return item
    raise FormatError(reason, file=group.file.filename, key=key)


def _external(group: h5py.Group, name: str) -> tuple[str, str] | None:
    """File and name of an external link; None for other links."""
    raw = name.encode("utf-8", "surrogateescape")
    try:
        if not group.id.links.exists(raw) or group.id.links.get_info(raw).type != h5l.TYPE_EXTERNAL:
            return None
        file, location = group.id.links.get_val(raw)
    except FAILURES:
        return None
    return file.decode("utf-8", "surrogateescape"), location.decode("utf-8", "surrogateescape")


def _key(group: h5py.Group, name: str) -> str:
    return f"{text_name(group.name).rstrip('/')}/{name}".lstrip("/")
