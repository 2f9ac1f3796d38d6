"""All checks in their order, and what becomes of their findings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from midas.diagnosis.check import crystal, files, missing, reading, region, rings, scan, spelling, units, values
from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.request import Request
from midas.diagnosis.check.subject import Subject
from midas.runtime.errors import Mistakes

log = logging.getLogger(__name__)

Check = Callable[[Subject], Iterator[Finding]]

#: in this order: a key that one of them finds wrong is left alone by those behind it
CHECKS: tuple[Check, ...] = (
    spelling.unknown_keys,
    spelling.repeated_keys,
    spelling.surplus_numbers,
    units.units,
    values.completeness,
    values.angles,
    values.transformations,
    values.thresholds,
    values.steps,
    values.times,
    values.panels,
    values.grain_selection,
    missing.missing_keys,
    crystal.cell,
    scan.frames,
    scan.rotation,
    region.order,
    files.named_files,
    files.mask,
)
#: a conversion can come to something without them: there they are warnings
CHECKS_OF_THE_ANALYSIS: tuple[Check, ...] = (
    region.scanned,
    rings.beam_centre,
    rings.rings,
    region.boxes,
    files.tracking,
)


@dataclass(frozen=True)
class Report:
    """What the check has found, by line of the file."""

    subject: Subject
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[str]:
        """A line for each mistake with which no run can come to anything."""
        return [finding.text(self.subject.source) for finding in self.findings if finding.is_error]

    @property
    def warnings(self) -> list[str]:
        """A line for each thing that looks wrong."""
        return [finding.text(self.subject.source) for finding in self.findings if not finding.is_error]


def examine(request: Request, *more: Check) -> Report:
    """Look at everything that a run depends on; nothing is written.

    Parameters
    ----------
    more : other checks

    Raises
    ------
    MidasError : for a file that is no parameter file, or an archive that cannot be read
    """
    subject, found = reading.read(request)
    for check in (*CHECKS, *CHECKS_OF_THE_ANALYSIS, *more):
        new = list(check(subject))
        if check in CHECKS_OF_THE_ANALYSIS and not request.parts:
            new = [replace(finding, is_error=False) for finding in new]
        subject.note(new)
        found += new
    found.sort(key=lambda finding: finding.line or 1 << 30)
    return Report(subject, tuple(dict.fromkeys(found)))


def before_run(request: Request) -> None:
    """The same before a run: warnings are said, and errors end it.

    Raises
    ------
    Mistakes : all of them
    """
    report = examine(request)
    for line in report.warnings:
        log.warning("%s", line)
    if report.errors:
        raise Mistakes(report.errors)
