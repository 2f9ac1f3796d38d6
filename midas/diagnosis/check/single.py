"""What a single value tells by itself, for programs that change one in an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from midas.diagnosis.check import crystal, region, units, values
from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.request import Request
from midas.diagnosis.check.subject import Subject
from midas.parameters import Parameters
from midas.parameters.table import Value

_CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    units.units,
    values.completeness,
    values.angles,
    values.transformations,
    values.thresholds,
    values.times,
    crystal.cell,
    region.order,
)
#: what the checks of another key look at
_BESIDE = ("px", "MinOmeSpotIDsToIndex", "MaxOmeSpotIDsToIndex", "MinNrPx", "MaxNrPx", "UpperBoundThreshold")


def of_value(archive: Path, name: str, value: Value, parameters: Parameters) -> list[Finding]:
    """What is wrong, or odd, with a new value of the key `name` in an archive that has these parameters.

    Only what the value says alone counts: of two keys that belong together one is changed first.
    """
    beside = {other: parameters[other] for other in _BESIDE if other in parameters}
    subject = Subject(Request(archive, converts=False, archive=archive), {**beside, name: value})
    return [finding for check in _CHECKS for finding in check(subject) if finding.key == name]
