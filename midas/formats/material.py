"""A user's file of the elastic constants of a material (docs/stress.md#own-materials)."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field

from midas.formats.table import whole
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

_CONSTANT = re.compile(r"C([1-6])([1-6])", re.IGNORECASE)
_KEYS = ("name", "source", "space_group", "axes", "slip")


@dataclass
class MaterialFile:
    """What the file says.

    Parameters
    ----------
    constants : C11 ..., GPa, by their names as written
    name, source : of the material; "" where it says nothing
    space_group : for which the constants hold; None where it says nothing
    axes : where the frame of the constants lies, four words or none
    slip : slip families or systems: a text for each line
    """

    constants: dict[str, float] = field(default_factory=dict)
    name: str = ""
    source: str = ""
    space_group: int | None = None
    axes: tuple[str, ...] = ()
    slip: tuple[str, ...] = ()


def read_material(path: str | os.PathLike[str]) -> MaterialFile:
    """Read it.

    Raises
    ------
    FormatError : a line that is none, a key twice, no constants
    """
    content = read_bytes(path, advice="give a material of the table, or a file of elastic constants")
    if b"\0" in content:
        raise FormatError("is no text", file=path)
    found = MaterialFile()
    seen: set[str] = set()
    for number, raw in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        key, *words = raw.partition("#")[0].split() or [""]
        if not key:
            continue
        name = key.upper() if _CONSTANT.fullmatch(key) else key.lower()
        if name in seen and name != "slip":
            raise FormatError("stands here a second time", file=path, line=number, key=key)
        seen.add(name)
        if not words:
            raise FormatError("has no value", file=path, line=number, key=key)
        _take(found, name, words, path, number)
    if not found.constants:
        raise FormatError("holds no elastic constants: lines such as 'C11 250.8' (GPa) are needed", file=path)
    return found


def _take(found: MaterialFile, name: str, words: list[str], path: str | os.PathLike[str], line: int) -> None:
    """Put what a line says into `found`."""
    text = " ".join(words)
    if _CONSTANT.fullmatch(name):
        found.constants[name] = _number(words, path, line, name)
    elif name == "space_group":
        number = whole(text)
        if number is None or not 1 <= number <= 230:
            raise FormatError("must be a whole number, 1 to 230", file=path, line=line, key=name, value=text)
        found.space_group = number
    elif name == "axes":
        found.axes = tuple(words)
    elif name == "slip":
        found.slip = (*found.slip, text)
    elif name in _KEYS:
        setattr(found, name, text)
    else:
        reason = f"there is no such key; there are C11 ... C66, {', '.join(_KEYS)}"
        raise FormatError(reason, file=path, line=line, key=name)


def _number(words: list[str], path: str | os.PathLike[str], line: int, key: str) -> float:
    try:
        (word,) = words
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError("must be one number, GPa", file=path, line=line, key=key, value=" ".join(words))
    return value
