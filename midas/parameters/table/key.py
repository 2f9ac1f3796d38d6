"""What the table knows of one parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

#: The value of a parameter: a number, a word, a path, a tuple of these, or of such tuples. Which one it is depends on
#: the name of the key, so that no type of ``parameters[name]`` could say it; whoever passes a value on says what it is,
#: as in ``lsd: float = parameters["Lsd"]``.
Value: TypeAlias = Any

#: kinds of value: numbers, one word, the rest of the line, or the rest of the line as a path (which may hold blanks)
FLOAT, INT, WORD, TEXT, PATH = "float", "int", "word", "text", "path"

#: larger numbers are mistakes, and their squares or their records would overflow somewhere
_LARGEST_FLOAT = 1e18
_LARGEST_INT = {"": 2**31 - 1, "<i4": 2**31 - 1, "<i8": 2**53}

#: no default: a command that needs the key says so
REQUIRED = None


@dataclass(frozen=True)
class Range:
    """The values that a number may have.

    Parameters
    ----------
    low, high : smallest and largest
    open : whether `low` itself is left out
    """

    low: float = -math.inf
    high: float = math.inf
    open: bool = False

    def refusal(self, value: float, unit: str = "") -> str:
        """Why `value` is none of these; "" if it is one."""
        if (value > self.low if self.open else value >= self.low) and value <= self.high:
            return ""
        if self.high < math.inf and not self.open:
            return f"must lie in {self.low:g} ... {self.high:g}"
        if self.high < math.inf:
            return f"must be greater than {self.low:g} and at most {self.high:g}"
        if self.low == 0:
            return "must be greater than 0" if self.open else "must not be negative"
        return f"must be at least {self.low:g}{f' {unit}' if unit else ''}"

    @property
    def limits(self) -> bool:
        """Whether any number is left out."""
        return self != Range()

    def __str__(self) -> str:
        if self.high < math.inf and not self.open:
            return f"{self.low:g} … {self.high:g}"
        low = f"{'>' if self.open else '≥'} {self.low:g}"
        return low if self.high == math.inf else f"{low}, ≤ {self.high:g}"


#: the ranges that most numbers have
POSITIVE, NOT_NEGATIVE = Range(0, open=True), Range(0)


@dataclass(frozen=True)
class Key:
    """One parameter. Who reads it stands in `midas.parameters.readers`.

    Parameters
    ----------
    name : as users write it
    kind : FLOAT, INT, WORD, TEXT or PATH
    default : value when absent; `REQUIRED` if there is none
    text : what it means
    unit : of the numbers
    count : numbers on a line; more than one gives a tuple
    lines : whether lines add up to a list (else the last one wins)
    flat : a list that may also stand on one line
    range : the values that each number may have; the default is always allowed
    choices : the only values allowed
    or_number : a word that may also be a number in the range
    aliases : other spellings, in every file
    dialect_aliases : spellings that mean this key in one kind of file only: dialect -> names
    archive : dataset in the archive if not ``analysis/process/analysis_parameters/<name>``; "" when it is never stored
    dtype : of the dataset; by default ``<f8``, ``<i4`` or bytes
    handed_on : whether the setup appends it to paramstest.txt when it is given with another value than the default, in
        the order of the table
    not_yet : what holds in place of the value, for a key that nothing reads yet
    acts_as : the value of such a key that says what this version does, if it is not the default
    legacy : default with ``LegacyDigits 1``, if it is another one
    """

    name: str
    kind: str
    default: Value
    text: str
    unit: str = ""
    count: int = 1
    lines: bool = False
    flat: bool = False
    range: Range = Range()
    choices: tuple[Value, ...] = ()
    or_number: bool = False
    aliases: tuple[str, ...] = ()
    dialect_aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    archive: str | None = None
    dtype: str = ""
    handed_on: bool = False
    not_yet: str = ""
    acts_as: Value = None
    legacy: Value = None

    @property
    def is_list(self) -> bool:
        return self.lines or self.flat

    @property
    def is_number(self) -> bool:
        return self.kind in (FLOAT, INT)

    @property
    def largest(self) -> float:
        """The largest magnitude that a number of this key can have."""
        return _LARGEST_INT[self.dtype] if self.kind == INT else _LARGEST_FLOAT

    def refusal(self, value: Value) -> str:
        """Why the key cannot have this value, which has its type; "" if it can."""
        if value == self.default:
            return ""
        if self.or_number and (number := _number(value)) is not None:
            return self.range.refusal(number, self.unit)
        if self.choices and value not in self.choices:
            words = ", ".join(map(str, self.choices))
            return f"must be one of {words}{', or a number' if self.or_number else ''}"
        if self.is_number and self.range.limits:
            return next(filter(None, (self.range.refusal(number, self.unit) for number in _numbers(value))), "")
        return ""

    def ignored(self, value: Value) -> bool:
        """Whether nothing reads the key yet and the value asks for something else than what this version does."""
        return bool(self.not_yet) and value != (self.default if self.acts_as is None else self.acts_as)


def flag(name: str, default: int, text: str, **more: Value) -> Key:
    """A key that is 0 or 1."""
    return Key(name, INT, default, text, **more)


def _numbers(value: Value) -> list[float]:
    """The numbers of a value: itself, those of a line, or those of all lines."""
    if not isinstance(value, tuple):
        return [value]
    return [number for part in value for number in _numbers(part)]


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
