"""Parameters: one parser for every text file, one mapping to and from the archive (spec chapter 01 §3, §4.2)."""

from __future__ import annotations

import codecs
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from midas.parameters.table import (
    FLOAT,
    FOREIGN_FLOATS,
    FOREIGN_INTS,
    FOREIGN_WORDS,
    INT,
    KEYS,
    PATH,
    REQUIRED,
    WORD,
    Key,
    spellings,
)
from midas.runtime.errors import ParameterError
from midas.runtime.files import readable

log = logging.getLogger(__name__)

ANALYSIS = "analysis/process/analysis_parameters/"
SCAN = "measurement/process/scan_parameters/"
DIALECTS = ("user", "paramstest", "simulation")

#: what the converter writes for a list that was not given; readers take it as "not given"
SENTINELS: dict[str, NDArray] = {
    "RingThresh": np.array([[0.0, 0.0]]),
    "RingsToExclude": np.array([[0.0, 0.0]]),
    "OmegaRange": np.array([[-10000.0, 0.0]]),
    "BoxSize": np.array([[-10000.0, 0.0, 0.0, 0.0]]),
    "ImTransOpt": np.array([-1]),
}

#: larger numbers are mistakes, and their squares or their records would overflow somewhere
_LARGEST_FLOAT = 1e18
_LARGEST_INT = {"": 2**31 - 1, "<i4": 2**31 - 1, "<i8": 2**53}

_COMMENT = re.compile(r"(^|\s)#.*$")


#: one of the two datasets of BC
_COORDINATE = replace(KEYS["BC"], count=1)


class Parameters:
    """Values of one parameter file or archive, under the names of `midas.parameters.table`.

    ``p[key]`` is the value, else the default; a key with neither is a `ParameterError` that names it. One number is a
    float or int, several are a tuple, repeated lines a tuple of those.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        source: str | os.PathLike[str] = "",
        *,
        stage: str = "",
        unknown: Mapping[str, tuple[str, ...]] | None = None,
    ):
        unexpected = [name for name in values if name not in KEYS]
        if unexpected:
            raise KeyError(f"not in the table of parameters: {unexpected}")
        self._values = dict(values)
        self._stage = stage
        self.source = os.fspath(source)
        #: keys that are not in the table, as text
        self.unknown = dict(unknown or {})

    @classmethod
    def read(cls, path: str | os.PathLike[str], dialect: str = "user") -> Parameters:
        """Parse a parameter file."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ParameterError(f"parameter file cannot be read ({error.strerror})", file=path) from None
        # Bytes of another encoding come through as they are: a path names the same file as for the shell.
        text = os.fsdecode(content.removeprefix(codecs.BOM_UTF8))
        if "\0" in text:
            raise ParameterError("is not a text file; a parameter file was expected", file=path)
        parameters = cls.parse(text, path, dialect)
        if not parameters.given:
            raise ParameterError("holds no parameters", file=path)
        return parameters

    @classmethod
    def parse(cls, text: str, source: str | os.PathLike[str] = "", dialect: str = "user") -> Parameters:
        """Parse the text of a parameter file; `source` is for messages."""
        if dialect not in DIALECTS:
            raise ValueError(dialect)
        known = spellings(dialect)
        values: dict[str, Any] = {}
        unknown: dict[str, tuple[str, ...]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = _COMMENT.sub("", line).split(None, 1)
            if not words:
                continue
            name, rest = words[0], words[1].strip() if len(words) > 1 else ""
            key = known.get(name)
            if key is None:
                unknown[name] = (*unknown.get(name, ()), *rest.split())
                continue
            value = _Line(key, name, rest, source, number, dialect).value()
            if key.is_list:
                value = (*values.get(key.name, ()), *value)
            elif key.name in values and values[key.name] != value:
                log.warning(
                    "%s, line %d: %s given before with another value; the last one counts", source, number, name
                )
                del values[key.name]  # keeps the order of the last occurrence
            values[key.name] = value
        return cls(_without_sentinels(values), source, unknown=unknown)

    @classmethod
    def from_archive_values(cls, datasets: Mapping[str, Any], source: str | os.PathLike[str] = "") -> Parameters:
        """Values of an archive's datasets.

        Parameters
        ----------
        datasets : path inside the archive to array (any numeric dtype and shape), bytes or str, in directory order
        """
        values: dict[str, Any] = {}
        names = {key.name: key for key in KEYS.values()} | spellings("user")
        stored = {_dataset(key): key for key in KEYS.values() if key.archive and " " not in key.archive}
        for path, raw in datasets.items():
            key = stored.get(path)
            if key is None and path.startswith(ANALYSIS):
                key = names.get(path.removeprefix(ANALYSIS))
            if key is None or key.archive == "" or key.name == "BC":
                continue
            value = _from_dataset(key, raw, path, source)
            if reason := _not_allowed(key, value):
                raise ParameterError(reason, file=source, key=path, value=value)
            if key.name in values and values[key.name] != value:
                log.warning("%s: %s and an alias of it differ; the later one counts: %s", source, key.name, value)
            values[key.name] = value
        centre = {path: datasets.get(path) for path in (ANALYSIS + "YCen", ANALYSIS + "ZCen")}
        if all(raw is not None for raw in centre.values()):
            values["BC"] = tuple(_from_dataset(_COORDINATE, raw, path, source) for path, raw in centre.items())
        return cls(_without_sentinels(values), source)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def given(self) -> bool:
        """Whether there is any key, known or not."""
        return bool(self._values or self.unknown)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        key = KEYS[name]
        default = key.stage_defaults.get(self._stage, key.default)
        if default is REQUIRED:
            raise ParameterError("is missing and has no default; add it", file=self.source or None, key=name)
        return default

    def get(self, name: str, default: Any = None) -> Any:
        """The value, else the default of the table, else `default`."""
        try:
            return self[name]
        except ParameterError:
            return default

    def for_stage(self, stage: str) -> Parameters:
        """The same values with the defaults that hold in one stage."""
        return Parameters(self._values, self.source, stage=stage, unknown=self.unknown)

    def changed(self, **values: Any) -> Parameters:
        """A copy with other values."""
        return Parameters({**self._values, **values}, self.source, stage=self._stage, unknown=self.unknown)

    def without(self, *names: str) -> Parameters:
        """A copy without these keys."""
        kept = {name: value for name, value in self._values.items() if name not in names}
        return Parameters(kept, self.source, stage=self._stage, unknown=self.unknown)

    def error(self, name: str, reason: str) -> ParameterError:
        """An error about the value of `name`, ready to raise."""
        value = self._values.get(name)
        return ParameterError(reason, file=self.source or None, key=name, value=value)

    def positive(self, name: str) -> float:
        """A number that must be greater than 0."""
        value = self[name]
        if not value > 0:
            raise ParameterError("must be greater than 0", file=self.source or None, key=name, value=value)
        return value

    def rings(self) -> tuple[tuple[int, float], ...]:
        """(ring, threshold) of RingThresh; a repeated ring counts once, at its first place with its last threshold."""
        table: dict[int, float] = {}
        for ring, threshold in self["RingThresh"]:
            table[int(ring)] = threshold
        if not table:
            raise ParameterError("is missing; list the rings to use", file=self.source or None, key="RingThresh")
        return tuple(table.items())

    def omega_start(self) -> float:
        """Omega of the first analysed frame: OmegaStart, else OmegaFirstFile, else 0."""
        return self.get("OmegaStart", self.get("OmegaFirstFile", 0.0))

    def archive_datasets(self) -> Iterator[tuple[str, NDArray]]:
        """The datasets of these parameters in an archive, in the order of the file (spec chapter 01 §3.2, §4.2)."""
        for name, value in self._values.items():
            key = KEYS[name]
            if name == "BC":
                for axis, number in zip(("YCen", "ZCen"), value, strict=True):
                    yield ANALYSIS + axis, np.array([number], "<f8")
            elif key.archive != "":
                yield _dataset(key), _to_dataset(key, value)
        for name, sentinel in SENTINELS.items():
            if name not in self._values:
                yield _dataset(KEYS[name]), _to_dataset(KEYS[name], sentinel)
        for name, words in self.unknown.items():
            if words and "/" not in name:
                yield ANALYSIS + readable(name), _guessed(name, words)
        skipped = self["SkipFrame"] * self["OmegaStep"] if self["SkipFrame"] else 0.0
        yield SCAN + "start", np.array([self.omega_start() - skipped], "<f8")


class _Line:
    """One line of a parameter file, and the errors it can have."""

    def __init__(self, key: Key, name: str, rest: str, source: str | os.PathLike[str], number: int, dialect: str):
        self.key, self.name, self.rest = key, name, rest
        self.source, self.number, self.dialect = source, number, dialect

    def value(self) -> Any:
        if self.key.kind in (WORD, PATH):
            text = self.rest.rstrip(";").strip()
            if self.key.kind == WORD:
                text = text.split()[0] if text else ""
            if not text:
                raise self.error("has no value")
            return self.checked(text)
        words = [word.rstrip(";") for word in self.rest.split()]
        if self.key.flat:
            return tuple(self.numbers(words, len(words)))
        if self.dialect == "simulation" and self.key.name == "RingThresh":
            words = [*words[:1], "0"]  # the simulator needs no threshold
        values = tuple(self.numbers(words, self.key.count))
        if self.key.count > 1:
            return (values,) if self.key.lines else values
        return values if self.key.lines else self.checked(values[0])

    def numbers(self, words: list[str], count: int) -> Iterator[float | int]:
        words = [word for word in words if word]
        if not words or len(words) < count:
            raise self.error(f"needs {max(count, 1)} number{'s' if count > 1 else ''}")
        for word in words[:count]:
            yield self.number_of(word)

    def number_of(self, word: str) -> float | int:
        try:
            value = float(word.replace("_", "?"))
        except ValueError:
            raise self.error("is not a number") from None
        if not math.isfinite(value):
            raise self.error("must be finite")
        if not -(largest := _largest(self.key)) - 1 <= value <= largest:
            raise self.error(f"must not be larger than {largest:g}")
        if self.key.kind == INT:
            if value != int(value):
                raise self.error("must be a whole number")
            return int(value)
        return value

    def checked(self, value: Any) -> Any:
        if reason := _not_allowed(self.key, value):
            raise self.error(reason)
        return value

    def error(self, reason: str) -> ParameterError:
        return ParameterError(reason, file=self.source, line=self.number, key=self.name, value=self.rest or None)


def _not_allowed(key: Key, value: Any) -> str:
    """Why the key cannot have this value; "" if it can."""
    return f"must be one of {', '.join(map(str, key.choices))}" if key.choices and value not in key.choices else ""


def _largest(key: Key) -> float:
    """The largest magnitude that a number of this key can have."""
    return _LARGEST_INT[key.dtype] if key.kind == INT else _LARGEST_FLOAT


def _without_sentinels(values: dict[str, Any]) -> dict[str, Any]:
    def given(name: str, value: Any) -> bool:
        sentinel = SENTINELS.get(name)
        return sentinel is None or not np.array_equal(np.asarray(value, float), sentinel)

    return {name: value for name, value in values.items() if given(name, value)}


def _dataset(key: Key) -> str:
    name = key.archive or key.name
    return name if "/" in name else ANALYSIS + name


def _to_dataset(key: Key, value: Any) -> NDArray:
    if key.kind in (WORD, PATH):
        return np.array([os.fsencode(str(value))])
    dtype = key.dtype or {FLOAT: "<f8", INT: "<i4"}[key.kind]
    array = np.asarray(value, dtype)
    return array.reshape(-1, key.count) if key.lines and key.count > 1 else array.reshape(-1)


def _guessed(name: str, words: tuple[str, ...]) -> NDArray:
    """Dataset of a key that is not in the table: its fixed dtype, else whole numbers, numbers or text."""
    attempts: list[tuple[type, str]] = [(int, "<i8"), (float, "<f8")]
    if name in FOREIGN_FLOATS:
        attempts = [(float, "<f8")]
    elif name in FOREIGN_INTS:
        attempts = [(int, "<i4")]
    elif name in FOREIGN_WORDS:
        attempts = []
    for convert, dtype in attempts:
        try:
            return np.array([convert(word.rstrip(";")) for word in words], dtype)
        except (ValueError, OverflowError):
            continue
    return np.array([os.fsencode(" ".join(words))])


def _from_dataset(key: Key, raw: Any, path: str, source: str | os.PathLike[str]) -> Any:
    """The value of a dataset, whatever numeric type and shape an old tool gave it."""
    if key.kind in (WORD, PATH):
        items = [raw] if isinstance(raw, (bytes, str)) else np.asarray(raw).ravel().tolist()
        if not items:
            raise ParameterError("holds no text", file=source, key=path)
        text = os.fsdecode(items[-1]) if isinstance(items[-1], bytes) else str(items[-1])
        return text.rstrip("\0")
    try:
        flat = np.asarray(raw).astype(np.float64).ravel()
    except (TypeError, ValueError):
        raise ParameterError("must hold numbers", file=source, key=path) from None
    if flat.size == 0 or not np.isfinite(flat).all():
        raise ParameterError("holds no finite numbers", file=source, key=path)
    if ((flat > (largest := _largest(key))) | (flat < -largest - 1)).any():
        raise ParameterError(f"must not be larger than {largest:g}", file=source, key=path, value=flat.tolist())
    if key.kind == INT and (flat != np.trunc(flat)).any():
        raise ParameterError("must be a whole number", file=source, key=path, value=flat.tolist())
    numbers = tuple(int(x) if key.kind == INT else float(x) for x in flat)
    if key.count > 1:
        if len(numbers) % key.count or (len(numbers) != key.count and not key.lines):
            raise ParameterError(f"needs {key.count} numbers", file=source, key=path, value=flat.tolist())
        rows = tuple(numbers[i : i + key.count] for i in range(0, len(numbers), key.count))
        return rows if key.lines else rows[0]
    if key.is_list:
        return numbers
    if len(numbers) > 1:
        log.warning("%s: %s holds %d values; the last one counts", source, path, len(numbers))
    return numbers[-1]
