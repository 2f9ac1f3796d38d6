"""The spots: how many the grains explain, how many are saturated (docs/theory/verdicts.md#spots)."""

from __future__ import annotations

from collections.abc import Iterator

from midas.results.report.verdicts.verdict import LOOK, NOTE, WRONG, Verdict

#: least share of the strong spots that grains explain: below it something is wrong, below it something is worth a look
_LITTLE, _MOST = 0.5, 0.85
#: fewer strong spots say nothing
_FEWEST = 8
#: share of saturated spots that is no curiosity any more
_SATURATED = 0.02


def unexplained(strong: int, alone: int) -> Iterator[Verdict]:
    """Strong spots that belong to no grain.

    Parameters
    ----------
    strong : spots among the strongest quarter of their rings
    alone : of these, spots in no grain
    """
    if strong < _FEWEST:
        return
    share = 1 - alone / strong
    if share >= _MOST:
        return
    says = f"{alone} of the {strong} strong spots ({100 * (1 - share):.0f} %) belong to no grain."
    if share < _LITTLE:
        advice = "Most of the sample is missing: see the other verdicts, then the rings, the completeness and the cell."
        yield Verdict("Unexplained spots", WRONG, says, advice)
        return
    advice = (
        "Some grains are missing, or the rings hold another phase, or grains are outside of the searched volume "
        "(Rsample, Hbeam). A lower Completeness finds grains that the beam leaves, more rings to index find weak ones."
    )
    yield Verdict("Unexplained spots", LOOK, says, advice)


def saturated(spots: int, flagged: int, level: float) -> Iterator[Verdict]:
    """Spots that a saturated peak is part of.

    Parameters
    ----------
    spots : accepted ones
    flagged : of these, saturated ones
    level : `UpperBoundThreshold`, counts; 0 if not known
    """
    if not flagged:
        return
    share = flagged / max(spots, 1)
    above = f" (UpperBoundThreshold {level:g})" if level else ""
    says = f"{flagged} of {spots} spots ({100 * share:.1f} %) are saturated{above}: their intensities are too small."
    advice = (
        "Their places come from their flanks and still count; radii of grains from them do not. Attenuate the beam."
    )
    yield Verdict("Saturated spots", LOOK if share > _SATURATED else NOTE, says, advice)
