"""One value of an archive, as a user types it, in the type that readers expect.

See docs/theory/archive.md#changing-a-value.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive.editing import set_datasets
from midas.archive.reader import Archive
from midas.parameters import ANALYSIS, SCAN, archive_mapping, parser
from midas.parameters.table import Key, Value, spellings
from midas.runtime.errors import ArchiveError, MidasError, UsageError

log = logging.getLogger(__name__)

#: keys from which the omega of the first frame follows
_OMEGAS = ("OmegaStart", "OmegaFirstFile", "OmegaStep", "SkipFrame")
#: the datasets of BC
_COORDINATES = (f"{ANALYSIS}YCen", f"{ANALYSIS}ZCen")
_IMAGES = "exchange/"


@dataclass(frozen=True)
class Change:
    """What was done to one dataset.

    Parameters
    ----------
    path : of the dataset
    before : its values; None when it is new
    after : its values now
    """

    path: str
    before: NDArray[np.generic] | None
    after: NDArray[np.generic]


def update(file: Path, name: str, words: Sequence[str]) -> list[Change]:
    """Set a parameter, or any other small dataset, in place.

    Parameters
    ----------
    file : the archive
    name : path of a dataset, or the name of a key as it stands in a parameter file, of which all datasets are set
    words : the value or values

    Returns
    -------
    What changed, or was there already; the dataset that was asked for comes first.

    Raises
    ------
    UsageError : a name or value that the archive cannot have. ArchiveError : no archive, or damaged.
    """
    name = name.lstrip("/")
    with Archive(file) as archive:
        key = key_named(name)
        if key is not None and "/" not in name:
            values = _of_key(archive, key, name, words)
        else:
            values = _of_dataset(archive, _checked_name(archive, name), words)
        before = {path: _content(archive, path) for path in values}
    try:
        set_datasets(file, values)
    except ValueError as error:
        raise UsageError(str(error), file=file, key=name) from None
    return [Change(path, before[path], after) for path, after in values.items()]


def key_named(name: str) -> Key | None:
    """The key that is meant by a name or by the path of a dataset; None for other datasets, and for half of BC."""
    if "/" not in name:
        return spellings("user").get(name)
    key = archive_mapping.key_of(name, spellings("user"))
    return None if key is None or key.name == "BC" or key.archive == "" else key


def _of_key(archive: Archive, key: Key, name: str, words: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """The datasets of a key, and what follows from them."""
    value = value_of(key, name, words)
    values = archive_mapping.datasets_of_key(key, value)
    if not values:
        raise UsageError("is never stored in an archive", file=archive.path, key=name)
    values |= dict.fromkeys(_aliases(archive, key), next(iter(values.values())))
    if key.name in _OMEGAS:
        parameters = archive.parameters.changed(**{key.name: value})
        start = f"{SCAN}start"
        values[start] = dict(parameters.archive_datasets())[start]
        if key.name == "OmegaFirstFile" and "OmegaStart" in parameters:
            log.warning("%s: OmegaStart %g counts, not OmegaFirstFile", archive.path, parameters["OmegaStart"])
        if archive.dataset(f"{SCAN}omegaCenter") is not None:
            log.warning("%s: %somegaCenter holds the angles of the single frames, which count", archive.path, SCAN)
    return values


def _of_dataset(archive: Archive, path: str, words: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """A dataset by its path: in the type of its key, else in that which it has, else as the words read."""
    if path in _COORDINATES:
        if len(words) != 1:
            raise UsageError("needs one number", file=archive.path, key=path, value=" ".join(words))
        return {path: _as_before(archive.path, path, words, np.dtype("<f8"), (1,))}
    key = key_named(path)
    if key is not None:
        values = archive_mapping.datasets_of_key(key, value_of(key, path, words))
        return values | dict.fromkeys(_aliases(archive, key), next(iter(values.values())))
    stored = archive.dataset(path)
    if stored is not None and stored.dtype.kind in "iuf":
        return {path: _as_before(archive.path, path, words, stored.dtype, stored.shape)}
    guess = archive_mapping.guessed(path.rpartition("/")[2], tuple(words))
    if guess.dtype == np.int64 and (np.abs(guess) < 2**31).all():
        guess = guess.astype("<i4")  # as legacy scripts write whole numbers
    return {path: guess}


def _aliases(archive: Archive, key: Key) -> list[str]:
    """Datasets of this archive that hold the key under another spelling: of several, readers take the last one."""
    return [path for path in (f"{ANALYSIS}{alias}" for alias in key.aliases) if archive.dataset(path) is not None]


def value_of(key: Key, name: str, words: Sequence[str]) -> Value:
    """The value of a key, with the checks that a parameter file gets."""
    rows = [list(words)]
    if key.is_number and not key.flat:
        if len(words) != key.count and not (key.lines and len(words) % key.count == 0):
            each = "a multiple of " if key.lines else ""
            reason = f"needs {each}{key.count} number{'s' if key.count > 1 else ''}, not {len(words)}"
            raise UsageError(reason, key=name, value=" ".join(words))
        rows = [list(words[i : i + key.count]) for i in range(0, len(words), key.count)]
    text = "".join(f"{key.name} {' '.join(row)}\n" for row in rows)
    try:
        return parser.parse(text, "", "user").values[key.name]
    except MidasError as error:
        raise UsageError(error.reason, key=name, value=" ".join(words)) from None


def _as_before(
    file: Path, path: str, words: Sequence[str], dtype: np.dtype[np.generic], shape: tuple[int, ...]
) -> NDArray[np.generic]:
    """Numbers in the type of those that they replace, and in their shape if there are as many."""
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        raise UsageError("holds numbers; the value must be one", file=file, key=path, value=" ".join(words)) from None
    with np.errstate(invalid="ignore"):
        converted = numbers.astype(dtype)
    if dtype.kind in "iu" and (converted != numbers).any():
        reason = f"holds whole numbers ({dtype.name})"
        raise UsageError(reason, file=file, key=path, value=" ".join(words))
    if converted.size == np.prod(shape):
        return converted.reshape(shape)
    if len(shape) == 2 and shape[1] and converted.size % shape[1] == 0:
        return converted.reshape(-1, shape[1])
    return converted


def _checked_name(archive: Archive, name: str) -> str:
    """A path that can be a dataset."""
    parts = name.split("/")
    if any(not part.strip() or part in (".", "..") or part.startswith((" ", ".z")) for part in parts):
        raise UsageError("cannot be the name of a dataset", file=archive.path, key="-keyToUpdate", value=name)
    names = archive.datasets()
    if any(other.startswith(f"{name}/") for other in names):
        raise UsageError("is a group; name a dataset in it", file=archive.path, key=name)
    if above := next((other for other in names if name.startswith(f"{other}/")), None):
        raise UsageError(f"cannot be in {above}, which is a dataset", file=archive.path, key=name)
    if name.startswith(_IMAGES):
        raise UsageError("holds images; give the name of a file", file=archive.path, key=name)
    return name


def _content(archive: Archive, path: str) -> NDArray[np.generic] | None:
    """The present values; None also where they are damaged, which a new value repairs."""
    stored = archive.dataset(path)
    try:
        return None if stored is None else stored.read()
    except ArchiveError:
        return None


def text_of(values: NDArray[np.generic]) -> str:
    """Values as a user reads them."""
    items = [os.fsdecode(x) if isinstance(x, bytes) else x for x in values.ravel().tolist()]
    if len(items) == 1:
        return str(items[0])
    return str(np.array(items).reshape(values.shape).tolist()) if values.ndim > 1 else str(items)
