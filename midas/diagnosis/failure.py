"""Why a run found nothing, or little, and what to change: the sentence of the error, and the numbers behind it.

See docs/theory/diagnosis.md#failures.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from midas.diagnosis import facts
from midas.diagnosis.case import Case
from midas.diagnosis.causes import causes, unknown
from midas.diagnosis.evidence import Evidence
from midas.formats.layer import Layer
from midas.parameters import Parameters

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong.

    Parameters
    ----------
    causes : a sentence each, the main one first, with what to do; never empty
    lines : the numbers
    """

    causes: tuple[str, ...]
    lines: tuple[str, ...]

    def text(self) -> str:
        """For a file and for the screen."""
        return "".join(f"{line}\n" for line in (*(f"- {cause}" for cause in self.causes), *self.lines))

    def say(self) -> None:
        """As messages, without the main cause, which an error or a warning has."""
        for line in (*(f"also: {cause}" for cause in self.causes[1:]), *self.lines):
            log.info("%s", line)


def diagnose(
    layer: Layer,
    parameters: Parameters,
    threads: int,
    *,
    completeness_key: str = "Completeness",
    among: Collection[int] = (),
    counts: Mapping[str, int] | None = None,
    paramstest: Parameters | None = None,
) -> Diagnosis:
    """Find out why a layer has no grains, or few.

    Parameters
    ----------
    parameters : of the archive, or of the user's file where there is no archive
    completeness_key : what the user calls the limit of the completeness
    among : ids of strong spots that belong to no grain, if there are grains
    counts : what the steps found, by the labels of their summaries: "peaks", "refined"
    paramstest : the parameters of the later stages, if not those in the layer
    """
    case = Case(Evidence(layer, parameters, paramstest), threads, completeness_key, among, counts or {})
    found = tuple(causes(case)) or (unknown(case),)
    return Diagnosis(found, tuple(facts.lines(case)))
