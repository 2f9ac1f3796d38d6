"""The parameters of one file or archive, as the stages read them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from midas.parameters import archive_mapping, not_yet, parser
from midas.parameters.readers import READERS
from midas.parameters.table import KEYS, REQUIRED, Value
from midas.runtime.errors import ParameterError


class Parameters:
    """Values of one parameter file or archive, under the names of `midas.parameters.table`.

    ``p[key]`` is the value, else the default; a key with neither, and a value out of the key's range, is a
    `ParameterError` that names it. One number is a float or int, several are a tuple, repeated lines a tuple of those.

    Parameters
    ----------
    values : by the names of the table
    source : file that they come from
    stage : the part of the suite that reads them; only what it declares in `midas.parameters.readers`
    unknown : keys that are not in the table, as text
    lines : where the values stand in a text
    own : names that the stage has given values of its own
    """

    def __init__(
        self,
        values: Mapping[str, Value],
        source: str | os.PathLike[str] = "",
        *,
        stage: str = "",
        unknown: Mapping[str, tuple[str, ...]] | None = None,
        lines: Mapping[str, int] | None = None,
        own: frozenset[str] = frozenset(),
    ):
        unexpected = [name for name in values if name not in KEYS]
        if unexpected:
            raise KeyError(f"not in the table of parameters: {unexpected}")
        self._values = dict(values)
        self._stage = stage
        self._reader = READERS[stage] if stage else None
        self._lines = dict(lines or {})
        self._own = own
        self.source = os.fspath(source)
        self.unknown = dict(unknown or {})

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], dialect: str = "user", *, known_as: str | os.PathLike[str] | None = None
    ) -> Parameters:
        """Parse a parameter file; messages name `known_as`, of which it is a copy, where that is given."""
        parameters = cls.parse(parser.text_of(path), known_as or path, dialect)
        if not parameters.given:
            raise ParameterError("holds no parameters", file=path)
        return parameters

    @classmethod
    def parse(
        cls,
        text: str,
        source: str | os.PathLike[str] = "",
        dialect: str = "user",
        errors: list[ParameterError] | None = None,
    ) -> Parameters:
        """Parse the text of a parameter file; `source` is for messages.

        Parameters
        ----------
        errors : takes the errors, whose lines are left out, and nothing is said; without it the first one is raised
        """
        found = parser.parse(text, source, dialect, errors)
        values = archive_mapping.without_sentinels(found.values)
        if errors is None:
            not_yet.warn(values, found.lines, source)
        return cls(values, source, unknown=found.unknown, lines=found.lines)

    @classmethod
    def from_archive_values(
        cls, datasets: Mapping[str, archive_mapping.Raw], source: str | os.PathLike[str] = ""
    ) -> Parameters:
        """Values of an archive's datasets.

        Parameters
        ----------
        datasets : path inside the archive to array (any numeric dtype and shape), bytes or str, in directory order
        """
        values = archive_mapping.without_sentinels(archive_mapping.values_of(datasets, source))
        not_yet.warn(values, {}, source)
        return cls(values, source)

    def __contains__(self, name: str) -> bool:
        self._check_declared(name)
        return name in self._values

    @property
    def given(self) -> bool:
        """Whether there is any key, known or not."""
        return bool(self._values or self.unknown)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def as_given(self) -> dict[str, Value]:
        """The values that were given, whether or not anything speaks against them, by the names of the table."""
        return dict(self._values)

    def __getitem__(self, name: str) -> Value:
        self._check_declared(name)
        if name not in self._values:
            return self._default(name)
        value = self._values[name]
        if reason := KEYS[name].refusal(value):
            raise self.error(name, reason)
        return value

    @property
    def legacy_digits(self) -> bool:
        """Whether the methods of the legacy programs are the defaults."""
        return bool(self["LegacyDigits"] == 1)

    def default_of(self, name: str) -> Value:
        """What holds where the key is not given, in a part that has no default of its own."""
        key = KEYS[name]
        legacy = key.legacy is not None and self._values.get("LegacyDigits") == 1
        return key.legacy if legacy else key.default

    def _default(self, name: str) -> Value:
        default = self.default_of(name)
        if self._reader is not None:
            default = self._reader.defaults.get(name, default)
        if default is REQUIRED:
            raise ParameterError("is missing and has no default; add it", file=self.source or None, key=name)
        return default

    def _check_declared(self, name: str) -> None:
        if self._reader is not None and name not in self._reader.keys and name not in self._own:
            raise KeyError(f"{self._stage} does not declare that it reads {name}; see midas/parameters/readers.py")

    def get(self, name: str, default: Value = None) -> Value:
        """The value, else the default of the table, else `default`."""
        return self[name] if name in self or self._has_default(name) else default

    def _has_default(self, name: str) -> bool:
        return KEYS[name].default is not REQUIRED or (self._reader is not None and name in self._reader.defaults)

    def for_stage(self, stage: str) -> Parameters:
        """The same values with the defaults that hold in one stage, which reads only the keys that it declares.

        Any other key is a `KeyError`: a mistake in the program.
        """
        return Parameters(self._values, self.source, stage=stage, unknown=self.unknown, lines=self._lines)

    def changed(self, **values: Value) -> Parameters:
        """A copy with other values; a stage may read what it has set."""
        return self._copy({**self._values, **values}, self._own | values.keys(), values.keys())

    def without(self, *names: str) -> Parameters:
        """A copy without these keys."""
        kept = {name: value for name, value in self._values.items() if name not in names}
        return self._copy(kept, self._own, names)

    def _copy(self, values: Mapping[str, Value], own: frozenset[str], moved: Collection[str]) -> Parameters:
        lines = {name: line for name, line in self._lines.items() if name not in moved}
        return Parameters(values, self.source, stage=self._stage, unknown=self.unknown, lines=lines, own=own)

    def error(self, name: str, reason: str) -> ParameterError:
        """An error about the value of `name`, ready to raise."""
        value, line = self._values.get(name), self._lines.get(name)
        return ParameterError(reason, file=self.source or None, line=line, key=name, value=value)

    def positive(self, name: str) -> float:
        """A number that must be greater than 0 here, whatever range it has elsewhere."""
        value: float = self[name]
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
        start: float = self.get("OmegaStart", self.get("OmegaFirstFile", 0.0))
        return start

    def archive_datasets(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """The datasets of these parameters in an archive, in the order of the file."""
        yield from archive_mapping.datasets_of(self._values, self.unknown)
        everything = Parameters(self._values, self.source)
        skipped = everything["SkipFrame"] * everything["OmegaStep"] if everything["SkipFrame"] else 0.0
        yield archive_mapping.SCAN + "start", np.array([everything.omega_start() - skipped], "<f8")
