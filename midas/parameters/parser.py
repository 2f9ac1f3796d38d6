"""The parameter language: the text of a parameter file to values (docs/theory/archive.md#parameter-files)."""

from __future__ import annotations

import codecs
import logging
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from midas.parameters.table import INT, KEYS, WORD, Key, Value, spellings
from midas.runtime.errors import ParameterError
from midas.runtime.files import ordinary

log = logging.getLogger(__name__)

DIALECTS = ("user", "paramstest", "simulation", "calibration")

_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass
class Parsed:
    """What a text holds.

    Parameters
    ----------
    values : by the names of the table
    lines : number of the line of each; the last one of several
    unknown : keys that are not in the table, as text
    occurrences : every line that could be read, in order, by the names of the table, and of a key that is not in the
        table by the name that stands there
    """

    values: dict[str, Value] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict)
    occurrences: dict[str, list[Occurrence]] = field(default_factory=dict)


@dataclass(frozen=True)
class Occurrence:
    """A line with a key.

    Parameters
    ----------
    line : its number
    name : of the key as it stands there
    value : of this line; the text of a key that is not in the table
    surplus : words behind the numbers that the key needs
    """

    line: int
    name: str
    value: Value
    surplus: tuple[str, ...] = ()


def lines_of(name: str, value: Value, spelled: str = "") -> list[str]:
    """The lines of a parameter file that give a key a value: the inverse of parsing them.

    Parameters
    ----------
    name : of the key in the table
    spelled : another name of it, as which it is written
    """
    rows = value if KEYS[name].lines else (value,)
    words = (row if isinstance(row, (tuple, list)) else (row,) for row in rows)
    return [f"{spelled or name} {' '.join(map(str, row))}" for row in words]


def text_of(path: str | os.PathLike[str]) -> str:
    """The text of a parameter file."""
    try:
        ordinary(path)
        content = Path(path).read_bytes()
    except OSError as error:
        raise ParameterError(f"parameter file cannot be read ({error.strerror})", file=path) from None
    # Bytes of another encoding come through as they are: a path names the same file as for the shell.
    text = os.fsdecode(content.removeprefix(codecs.BOM_UTF8))
    if "\0" in text:
        raise ParameterError("is not a text file; a parameter file was expected", file=path)
    return text


def parse(
    text: str, source: str | os.PathLike[str], dialect: str, errors: list[ParameterError] | None = None
) -> Parsed:
    """Parse the text of a parameter file; `source` is for messages.

    Parameters
    ----------
    errors : takes the errors, whose lines are then left out; without it the first one is raised. Who collects them
        looks at repeated keys too, which otherwise are a warning.
    """
    if dialect not in DIALECTS:
        raise ValueError(dialect)
    known = spellings(dialect)
    found = Parsed()
    values = found.values
    for number, line in enumerate(text.splitlines(), 1):
        words = _COMMENT.sub("", line).split(None, 1)
        if not words:
            continue
        name, rest = words[0], words[1].strip() if len(words) > 1 else ""
        key = known.get(name)
        if key is None:
            found.unknown[name] = (*found.unknown.get(name, ()), *rest.split())
            found.occurrences.setdefault(name, []).append(Occurrence(number, name, rest))
            continue
        reader = _Line(key, name, rest, source, number, dialect)
        try:
            value = reader.value()
        except ParameterError as error:
            if errors is None:
                raise
            errors.append(error)
            continue
        found.occurrences.setdefault(key.name, []).append(Occurrence(number, name, value, reader.surplus()))
        if key.is_list:
            value = (*values.get(key.name, ()), *value)
        elif key.name in values and values[key.name] != value:
            if errors is None:
                reason = "given before with another value; the last one counts"
                log.warning("%s, line %d: %s %s", source, number, name, reason)
            del values[key.name]  # keeps the order of the last occurrence
        values[key.name] = value
        found.lines[key.name] = number
    return found


class _Line:
    """One line of a parameter file, and the errors it can have."""

    def __init__(self, key: Key, name: str, rest: str, source: str | os.PathLike[str], number: int, dialect: str):
        self.key, self.name, self.rest = key, name, rest
        self.source, self.number, self.dialect = source, number, dialect

    def value(self) -> Value:
        """The value of a key with one line; a tuple of items for a list."""
        if not self.key.is_number:
            return self.text()
        words = [word.rstrip(";") for word in self.rest.split()]
        if self.key.flat:
            return self.checked(tuple(self.numbers(words, len(words))))
        if self.dialect == "simulation" and self.key.name == "RingThresh":
            words = [*words[:1], "0"]  # the simulator needs no threshold
        if self.key.name == "RingsToExclude" and len(words) == 1:
            words = [*words, "0"]  # of a calibration, a ring a line
        values = tuple(self.numbers(words, self.key.count))
        value = self.checked(values if self.key.count > 1 else values[0])
        return (value,) if self.key.lines else value

    def surplus(self) -> tuple[str, ...]:
        """The words behind the numbers that the key needs."""
        words = self.rest.split()
        return () if self.key.flat or not self.key.is_number else tuple(words[self.key.count :])

    def text(self) -> Value:
        words = self.rest.rstrip(";").split()
        if not words:
            raise self.error("has no value")
        if self.key.kind == WORD:
            return self.checked(tuple(words) if self.key.flat else words[0])
        text = self.rest.rstrip(";").strip()
        return (text,) if self.key.lines else self.checked(text)

    def numbers(self, words: list[str], count: int) -> Iterator[float | int]:
        words = [word for word in words if word]
        if not words or len(words) < count:
            what = f"s: {self.key.text}" if count > 1 and not self.key.flat else ""
            raise self.error(f"needs {max(count, 1)} number{what}")
        for word in words[:count]:
            yield self.number_of(word)

    def number_of(self, word: str) -> float | int:
        try:
            value = float(word.replace("_", "?"))
        except ValueError:
            hint = f"; remove the {word}" if word in ("=", ":") else ""
            raise self.error(f"is not a number{hint}") from None
        if not math.isfinite(value):
            raise self.error("must be finite")
        if not -(largest := self.key.largest) - 1 <= value <= largest:
            raise self.error(f"must not be larger than {largest:g}")
        if self.key.kind == INT:
            if value != int(value):
                raise self.error("must be a whole number")
            return int(value)
        return value

    def checked(self, value: Value) -> Value:
        if reason := self.key.refusal(value):
            raise self.error(reason, None if isinstance(value, tuple) else value)
        return value

    def error(self, reason: str, value: Value = None) -> ParameterError:
        shown = self.rest or None if value is None else value
        return ParameterError(reason, file=self.source, line=self.number, key=self.name, value=shown)
