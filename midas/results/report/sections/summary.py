"""What to make of the layer, in words, and what became of its frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from midas.results.evidence.geometry_errors import geometry_errors
from midas.results.report.section import Section
from midas.results.report.source import Source
from midas.results.report.verdicts import grains, instrument, spots
from midas.results.report.verdicts.funnel import funnel
from midas.results.report.verdicts.verdict import LOOK, NOTE, WRONG, Verdict, ordered

_WORDS = {WRONG: "mend", LOOK: "look", NOTE: "note", "fine": "well"}


def section(source: Source) -> Section:
    """The verdicts, the worst first, beside the funnel."""
    found = ordered(verdicts(source))
    if all(verdict.level == NOTE for verdict in found):
        says = (
            "Nothing suspicious: the rings lie where the cell and the distance put them, the residuals do not go with "
            "ring, eta or omega, and the grains explain the strong spots."
        )
        found.insert(0, Verdict("All is well", "fine", says))
    return Section(
        "verdicts",
        "Verdicts",
        template="verdicts.html.j2",
        values={
            "verdicts": found,
            "words": _WORDS,
            "funnel": funnel(source.counts),
            "diagnosis": source.diagnosis,
        },
    )


def verdicts(source: Source) -> Iterator[Verdict]:
    """All that can be said of a layer."""
    yield from grains.few(len(source), source.diagnosis)
    if not source.diagnosis and source.record is not None:
        for warning in source.record.warnings:
            yield Verdict("Warning of the run", LOOK, warning)
    yield from _of_instrument(source)
    if source.explained is not None and not source.diagnosis:
        yield from spots.unexplained(source.explained.strong, len(source.explained.alone))
    if source.saturated is not None:
        yield from spots.saturated(*source.saturated, source.number("UpperBoundThreshold"))
    if len(source):
        yield from _of_grains(source)
    for reason in source.missing:
        yield Verdict("Left out", NOTE, reason)


def _of_instrument(source: Source) -> Iterator[Verdict]:
    found = source.residuals
    if found is None:
        return
    detector = found.detector
    yield from instrument.instrument(geometry_errors(found))
    spacings = instrument.ring_spacings(found.spots.grain, found.spots.ring, found.spacing)
    yield from instrument.scale(spacings, detector.lsd, detector.known_wavelength())
    z = source.results.grains["position"][:, 2]
    yield from instrument.height(z, source.number("BeamSize"), detector.px)


def _of_grains(source: Source) -> Iterator[Verdict]:
    table = source.results.grains
    yield from grains.rim(table["position"], table["completeness"])
    yield from grains.duplicates(source.seed_verdicts)
    if source.results.sigma is not None:
        yield from grains.flags(source.results.sigma["Flag"].astype(np.int64))
