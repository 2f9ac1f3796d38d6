"""Parameters to and from the datasets of an archive (docs/theory/archive.md#parameters-in-an-archive)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

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
    TEXT,
    WORD,
    Key,
    Value,
    spellings,
)
from midas.runtime.errors import ParameterError
from midas.runtime.files import readable
from midas.runtime.part_files import is_path

log = logging.getLogger(__name__)

#: what a dataset of an archive holds
Raw: TypeAlias = NDArray[np.generic] | bytes | str

ANALYSIS = "analysis/process/analysis_parameters/"
SCAN = "measurement/process/scan_parameters/"

#: what the converter writes for a list that was not given; readers take it as "not given"
SENTINELS: dict[str, NDArray[np.generic]] = {
    "RingThresh": np.array([[0.0, 0.0]]),
    "RingsToExclude": np.array([[0.0, 0.0]]),
    "OmegaRange": np.array([[-10000.0, 0.0]]),
    "BoxSize": np.array([[-10000.0, 0.0, 0.0, 0.0]]),
    "ImTransOpt": np.array([-1]),
}

#: between the items of a list of texts
_SEPARATORS = {WORD: " ", TEXT: "\n", PATH: "\n"}

#: a name that is none of a dataset: in a ZIP file it would lead to another folder, or be part of the layout
_NO_MEMBER = re.compile(r"[/\\\0]|^\.")

#: one of the two datasets of BC
_COORDINATE = replace(KEYS["BC"], count=1)


def values_of(datasets: Mapping[str, Raw], source: str | os.PathLike[str]) -> dict[str, Value]:
    """Values by the names of the table.

    Parameters
    ----------
    datasets : path inside the archive to array (any numeric dtype and shape), bytes or str, in directory order
    source : the archive, for messages
    """
    values: dict[str, Value] = {}
    names = spellings("user")
    for path, raw in datasets.items():
        key = key_of(path, names)
        if key is None or key.archive == "" or key.name == "BC":
            continue
        value = _from_dataset(key, raw, path, source)
        # A number out of its range is an error of the stage that reads it: old archives hold many that nothing reads.
        if key.choices and (reason := key.refusal(value)):
            raise ParameterError(reason, file=source, key=path, value=value)
        if key.name in values and values[key.name] != value:
            log.warning("%s: %s and an alias of it differ; the later one counts: %s", source, key.name, value)
        values[key.name] = value
    centre = {path: datasets.get(path) for path in (ANALYSIS + "YCen", ANALYSIS + "ZCen")}
    found = {path: raw for path, raw in centre.items() if raw is not None}
    if len(found) == len(centre):
        values["BC"] = tuple(_from_dataset(_COORDINATE, raw, path, source) for path, raw in found.items())
    return values


def key_of(path: str, names: Mapping[str, Key]) -> Key | None:
    """The key that a dataset of an archive holds, under its own name or an alias; `names` are the spellings."""
    stored = _STORED.get(path)
    if stored is None and path.startswith(ANALYSIS):
        return names.get(path.removeprefix(ANALYSIS))
    return stored


def datasets_of_key(key: Key, value: Value) -> dict[str, NDArray[np.generic]]:
    """The datasets of one key."""
    if key.name == "BC":
        return {ANALYSIS + axis: np.array([x], "<f8") for axis, x in zip(("YCen", "ZCen"), value, strict=True)}
    return {_dataset(key): _to_dataset(key, value)} if key.archive != "" else {}


def datasets_of(
    values: Mapping[str, Value], unknown: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """The datasets of all keys, in the order of the values, and the sentinels of lists that were not given."""
    for name, value in values.items():
        yield from datasets_of_key(KEYS[name], value).items()
    for name, sentinel in SENTINELS.items():
        if name not in values:
            yield _dataset(KEYS[name]), _to_dataset(KEYS[name], sentinel)
    for name, words in unknown.items():
        if words and not _NO_MEMBER.search(name):
            yield ANALYSIS + readable(name), guessed(name, words)


def without_sentinels(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values without lists that say that they were not given."""

    def given(name: str, value: Value) -> bool:
        sentinel = SENTINELS.get(name)
        return sentinel is None or not np.array_equal(np.asarray(value, float), sentinel)

    return {name: value for name, value in values.items() if given(name, value)}


def _dataset(key: Key) -> str:
    name = key.archive or key.name
    return name if "/" in name else ANALYSIS + name


#: dataset -> key, of the keys whose datasets have names of their own
_STORED = {_dataset(key): key for key in KEYS.values() if key.archive and " " not in key.archive}


def _to_dataset(key: Key, value: Value) -> NDArray[np.generic]:
    if not key.is_number:
        # Legacy readers know one string per dataset.
        return np.array([os.fsencode(_SEPARATORS[key.kind].join(value) if key.is_list else str(value))])
    dtype = key.dtype or {FLOAT: "<f8", INT: "<i4"}[key.kind]
    array = np.asarray(value, dtype)
    return array.reshape(-1, key.count) if key.lines and key.count > 1 else array.reshape(-1)


def guessed(name: str, words: tuple[str, ...]) -> NDArray[np.generic]:
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


def _from_dataset(key: Key, raw: Raw, path: str, source: str | os.PathLike[str]) -> Value:
    """The value of a dataset, whatever numeric type and shape an old tool gave it."""
    if not key.is_number:
        items = [raw] if isinstance(raw, (bytes, str)) else np.asarray(raw).ravel().tolist()
        if not items:
            raise ParameterError("holds no text", file=source, key=path)
        text = os.fsdecode(items[-1]) if isinstance(items[-1], bytes) else str(items[-1])
        text = text.rstrip("\0")
        if not is_path(text):
            raise ParameterError("holds a NUL or letters that no path can have", file=source, key=path, value=text)
        return tuple(text.split(_SEPARATORS[key.kind])) if key.is_list else text
    try:
        flat = np.asarray(raw).astype(np.float64).ravel()
    except (TypeError, ValueError):
        raise ParameterError("must hold numbers", file=source, key=path) from None
    if flat.size == 0 or not np.isfinite(flat).all():
        raise ParameterError("holds no finite numbers", file=source, key=path)
    if ((flat > (largest := key.largest)) | (flat < -largest - 1)).any():
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
