"""What the checks look at: the values with their lines, and what is known of the scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.request import Request
from midas.experiment.crystal import reflections, within_detector
from midas.experiment.image import PaddedImage
from midas.experiment.scan import covered_ranges
from midas.parameters import Parameters
from midas.parameters.parser import Occurrence
from midas.parameters.table import KEYS, REQUIRED, Value, spellings
from midas.runtime import logs

_SPELLINGS = spellings("user")
#: what the hkl list is made of
_OF_THE_LIST = ("Lsd", "RhoD", "Wavelength", "LatticeParameter", "SpaceGroup")


@dataclass(frozen=True)
class ScanFacts:
    """The raw files, or the archive, as far as opening them tells.

    Parameters
    ----------
    path : the first file
    frames : their number, skipped ones included
    rows, columns : of a frame
    omegas : (frames,) float64, degrees, as they count, where the files say them
    """

    path: Path
    frames: int
    rows: int
    columns: int
    omegas: NDArray[np.float64] | None = None


@dataclass
class Subject:
    """A parameter file or the parameters of an archive, with what options change in them.

    Parameters
    ----------
    values : by the names of the table, those of options included
    occurrences : the lines of the file; empty for an archive
    unknown : keys that are not in the table
    scan : None where there is none, or it cannot be opened without much work
    faulty : keys that have been found wrong: checks that need them keep quiet
    of_the_scan : keys whose values are those of the raw files
    """

    request: Request
    values: Mapping[str, Value]
    occurrences: Mapping[str, list[Occurrence]] = field(default_factory=dict)
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scan: ScanFacts | None = None
    faulty: set[str] = field(default_factory=set)
    of_the_scan: set[str] = field(default_factory=set)

    @property
    def source(self) -> Path:
        return self.request.source

    def given(self, *names: str) -> bool:
        """Whether all keys have values that nothing speaks against."""
        return all(name in self.values and name not in self.faulty for name in names)

    def get(self, name: str, default: Value = None) -> Value:
        """The value, else the default of the table, else `default`."""
        value = self.values.get(name, KEYS[name].default)
        return default if value is REQUIRED else value

    def line(self, name: str, item: int = -1) -> int | None:
        """The line of a key, or of one of the items of a list; None if it comes from elsewhere."""
        found = self.occurrences.get(name)
        if not found or name in self.request.settings or name in self.of_the_scan:
            return None
        return found[item].line if item < len(found) else found[-1].line

    def spelling(self, name: str) -> str:
        """The key as the user has written it: an alias, or the option that gives it."""
        if name in self.request.options:
            return self.request.options[name]
        found = self.occurrences.get(name)
        return found[-1].name if found else name

    def finding(
        self, name: str, reason: str, *, item: int | None = None, value: Value = None, warning: bool = False
    ) -> Finding:
        """A finding about the value of a key, or about one item of a list."""
        if value is None and name in self.values:
            value = self.values[name] if item is None else self.values[name][item]
        line = self.line(name) if item is None else self.line(name, item)
        return Finding(reason, self.spelling(name), value, line, is_error=not warning)

    def parameters(self, stage: str, **changes: Value) -> Parameters:
        """The values as one part of the suite sees them."""
        return Parameters({**self.values, **changes}, self.source).for_stage(stage)

    @property
    def size(self) -> tuple[int, int] | None:
        """(rows, columns) of a raw frame, from the frames, else from the parameters; None if nobody knows."""
        if self.scan is not None:
            return self.scan.rows, self.scan.columns
        side = self.get("NrPixels")
        rows, columns = self.get("NrPixelsZ", side), self.get("NrPixelsY", side)
        return None if not rows or not columns else (rows, columns)

    @property
    def image(self) -> PaddedImage | None:
        """The frame in the padded square, where its size is known."""
        if self.size is None or "ImTransOpt" in self.faulty:
            return None
        return PaddedImage(*self.size, self.get("ImTransOpt"))

    @cached_property
    def omegas(self) -> NDArray[np.float64] | None:
        """Angle in degrees at which each analysed frame begins; None where the number of frames is not known."""
        if self.scan is None:
            return None
        skipped = self.get("SkipFrame")
        if self.scan.omegas is not None:
            return self.scan.omegas[skipped:]
        start: float = self.get("OmegaStart", self.get("OmegaFirstFile", 0.0))
        step: float = self.get("OmegaStep", 0.0)
        steps: NDArray[np.float64] = np.arange(max(self.scan.frames - skipped, 0), dtype=np.float64)
        return start + step * steps

    @property
    def covered(self) -> tuple[tuple[float, float], ...] | None:
        """The omegas that the scan covers, degrees; None where they are not known."""
        if self.omegas is None or not len(self.omegas):
            return None
        return covered_ranges(self.omegas, self.get("OmegaStep", 0.0))

    @cached_property
    def rings(self) -> dict[int, float] | None:
        """Ring number -> two_theta (degrees) of the rings within `RhoD`; None where a key that it takes is wrong.

        Raises
        ------
        ParameterError : for a list that would be too long
        """
        return self.rings_within(self.values["RhoD"]) if self.given(*_OF_THE_LIST) else None

    def rings_within(self, rho_d: float) -> dict[int, float]:
        """The same for another `RhoD`, µm; quiet about what the stage that writes the list will say."""
        p = self.parameters("hkls", RhoD=rho_d)
        with logs.muted("midas.experiment.crystal"):
            table = within_detector(reflections(p), p)
        numbers, first = np.unique(table.integers("ring"), return_index=True)
        return {int(number): 2 * float(table["theta"][row]) for number, row in zip(numbers, first, strict=True)}

    def note(self, findings: Iterable[Finding]) -> None:
        """Keep in mind which keys are wrong."""
        flags = {flag: name for name, flag in self.request.options.items()}
        for finding in findings:
            if finding.is_error and finding.key:
                key = _SPELLINGS.get(finding.key)
                self.faulty.add(flags.get(finding.key, finding.key) if key is None else key.name)
