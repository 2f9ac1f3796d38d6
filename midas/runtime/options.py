"""Options that a program has on its command line and a function has in Python, each written once.

A dataclass lists them with `option`; the command line is made of its fields (`midas.commands.program.options_of`), and
`from_values` makes it of what a user typed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

if TYPE_CHECKING:

    class _Dataclass(Protocol):
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    D = TypeVar("D", bound=_Dataclass)


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path as the user meant it where the command was called."""
    return Path(os.path.abspath(os.path.expanduser(path)))


_TRUE_OR_FALSE = "True or False"


@dataclass(frozen=True)
class Kind:
    """How a value is written on a command line, and what it becomes.

    Parameters
    ----------
    written : type of the word: str, int or float; bool for an option that stands alone
    read : from that to the value of the field
    is_path : a path, which is made absolute where it was given
    in_python : what a keyword argument of this kind is called in messages; "" if any is taken
    """

    written: type
    read: Callable[[Any], object]
    is_path: bool = False
    in_python: str = "text"

    def accepts(self, value: object) -> bool:
        """Whether a keyword argument may have this value."""
        if not self.in_python:
            return True
        if self.is_path:
            return isinstance(value, (str, os.PathLike))
        if self.in_python == _TRUE_OR_FALSE:
            return type(value).__name__ in ("bool", "bool_") or (isinstance(value, Integral) and int(value) in (0, 1))
        number = {int: Integral, float: Real}.get(self.written)
        if number is None:
            return isinstance(value, str)
        return isinstance(value, number) and not isinstance(value, bool)


TEXT = Kind(str, str)
WHOLE = Kind(int, lambda word: word, in_python="a whole number")
NUMBER = Kind(float, lambda word: word, in_python="a number")
NUMBERS = Kind(float, lambda words: None if words is None else tuple(words), in_python="")
#: 1 on the command line is True, anything else False
FLAG = Kind(int, lambda word: word == 1, in_python=_TRUE_OR_FALSE)
#: an option without a word: it is there or not
SWITCH = Kind(bool, bool, in_python=_TRUE_OR_FALSE)
#: a file or folder; no word is None
PATH = Kind(str, lambda word: absolute(word) if word else None, is_path=True, in_python="a path")
PATHS = Kind(str, lambda words: tuple(absolute(word) for word in words or ()), in_python="")


@dataclass(frozen=True)
class Option:
    """An option of a command line.

    Parameters
    ----------
    flag : with its legacy spelling (one dash) or a modern one (two)
    type : of its words; bool for an option without a word
    default : the word that counts when the option is not given
    count : how many words it takes, if more than one; "+" for one or more
    choices : the only words allowed
    """

    flag: str
    help: str
    type: type = str
    default: object = None
    count: int | str | None = None
    choices: tuple[object, ...] | None = None

    @property
    def key(self) -> str:
        """Its name among the values of a command line."""
        return self.flag.lstrip("-").replace("-", "_")


def option(
    flag: str,
    kind: Kind,
    default: object,
    text: str,
    key: str = "",
    *,
    count: int | str | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field that is also the option `flag` of a command; `text` explains it in both places.

    `key` is the parameter that means the same, if there is one; `count` and `choices` are those of `Option`.
    """
    unnamed = kind.is_path and not isinstance(default, str)
    word = "" if unnamed else int(bool(default)) if kind is FLAG else default
    shown = Option(flag, text, kind.written, word, count, choices)
    return field(default=default, metadata={"option": shown, "kind": kind, "key": key})


#: of the programs that read raw HDF5 files
ALLOW_LINKS = Option("-allowLinks", "1: HDF5 files may lead to others anywhere; 0: only below their own folder", int, 0)


def links_option() -> Any:
    """A field that is also the option `ALLOW_LINKS`."""
    return option(ALLOW_LINKS.flag, FLAG, False, ALLOW_LINKS.help)


def options_of(cls: type[D]) -> tuple[Option, ...]:
    """The options of a command line that the fields of a dataclass stand for."""
    return tuple(item.metadata["option"] for item in fields(cls) if "option" in item.metadata)


def from_words(cls: type[D], words: Mapping[str, object], **others: object) -> D:
    """The dataclass of what stands on a command line; `others` are fields that do not come from there.

    A path that nobody names is its default, from where the command was called.
    """
    values = dict(others)
    for item in fields(cls):
        if "option" in item.metadata and item.name not in values:
            value = item.metadata["kind"].read(words[item.metadata["option"].key])
            values[item.name] = absolute(item.default) if value is None and isinstance(item.default, Path) else value
    return cast("Callable[..., D]", cls)(**values)


def from_keywords(cls: type[D], values: Mapping[str, object]) -> D:
    """The dataclass of the keyword arguments of a Python function; paths may be text.

    Raises
    ------
    TypeError : for a keyword that is no field, and for a value of another type than it has
    """
    known = {item.name: item for item in fields(cls) if "kind" in item.metadata}
    if unknown := [name for name in values if name not in known]:
        raise TypeError(f"no such option: {', '.join(unknown)}; there are {', '.join(known)}")
    return cast("Callable[..., D]", cls)(**{name: _of_keyword(known[name], value) for name, value in values.items()})


def _of_keyword(item: Field[Any], value: object) -> object:
    kind: Kind = item.metadata["kind"]
    if value is None and item.default is None:
        return None
    if not kind.accepts(value):
        otherwise = " or None" if item.default is None else ""
        raise TypeError(f"{item.name} must be {kind.in_python}{otherwise}, not {value!r}")
    if kind.is_path:
        return absolute(cast("str | os.PathLike[str]", value))
    return bool(value) if kind is FLAG else value
