"""The sentences that name what is wrong, the main one first, each with what to do.

See docs/theory/diagnosis.md#failures.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from midas.diagnosis.case import Case
from midas.diagnosis.flips import CONVINCING, Setting, settings_of
from midas.diagnosis.frames import FrameSample
from midas.diagnosis.ring_offsets import RingOffsets
from midas.diagnosis.trial import AS_GIVEN
from midas.experiment.region import limited_omega, within_omegas
from midas.formats.resolved import read_verdicts
from midas.stages.grains.none_left import limit_at_fault

#: a change must raise the completeness by so much to be named as the cause
_HELPS = 0.1
#: a limit of the completeness below what the best seeds reach
_SAFE = 0.9
#: offsets beyond this may well be those of a wrong cell or wavelength
_FAR_PPM = 20000
#: of the spots that could be indexed, this share should be seeds
_MOSTLY = 0.5
#: share of the light beyond UpperBoundThreshold that is too much
_SATURATED = 0.5


def causes(case: Case) -> Iterator[str]:
    """Everything that explains the failure; nothing where the numbers do not tell."""
    if case.flips is None:
        yield from _without_spots(case)
    elif case.flips.best is None:
        yield from _nothing_fits(case)
    else:
        found = list(_something_fits(case))
        yield from found or _limits(case)


# ---------------------------------------------------------------- spots that can be indexed


def _something_fits(case: Case) -> Iterator[str]:
    """What had to be changed to explain the strongest spots."""
    assert case.flips is not None and case.flips.best is not None
    best, without, evidence = case.flips.best, case.without, case.evidence
    fits = case.reached(best, without)
    plain = case.at_given_rings(best)
    rings_help = best != plain and fits > case.reached(plain, without) + _HELPS
    if case.flips.is_other:
        yield _turned(case)
    if rings_help:
        for sentence in _geometry(case, evidence.offsets, centre=not case.flips.is_other):
            yield f"{sentence}; completeness {fits:.2f} instead of {case.reached(plain, without):.2f}"
    if without and fits > case.reached(best) + _HELPS:
        yield _poor_rings(case) + f"; completeness {case.reached(best):.2f} with them, {fits:.2f} without"


def _turned(case: Case) -> str:
    """Another image, or another sense of omega."""
    evidence, flips = case.evidence, case.flips
    assert flips is not None and flips.best is not None
    reached = (
        f"the strongest seeds reach a completeness of {case.reached(flips.best, case.without):.2f} instead of "
        f"{case.reached(AS_GIVEN, case.without):.2f}"
    )
    if evidence.image is None:
        return f"ImTransOpt or the sign of OmegaStep is wrong: with the {flips.best.name} {reached}"
    first, *others = (setting.text(evidence.own["OmegaStep"]) for setting in _settings(case))
    groups = [f"({other})" for other in others]
    return (
        f"ImTransOpt or the sign of OmegaStep is wrong: with {first} {reached}; the data "
        f"cannot tell this from {', '.join(groups[:-1])} or {groups[-1]}, the instrument can; BC is "
        "raw column {:.2f}, row {:.2f} in all of them".format(*evidence.image.to_raw(*case.beam_centre))
    )


def _settings(case: Case) -> list[Setting]:
    assert case.flips is not None and case.flips.best is not None and case.evidence.image is not None
    detector = case.evidence.detector
    return settings_of(case.flips.best, case.evidence.image, (detector.y_bc, detector.z_bc), case.beam_centre)


def _geometry(case: Case, offsets: RingOffsets, *, centre: bool = True) -> Iterator[str]:
    """Distance and beam centre, and what else looks like that."""
    evidence = case.evidence
    sentences = list(offsets.sentences(evidence.detector, evidence.image))
    if offsets.scale_is_wrong:
        scale = 1 + offsets.scale_ppm * 1e-6
        cell = ""
        if abs(offsets.scale_ppm) > _FAR_PPM:
            edges = " ".join(f"{edge / scale:.4f}" for edge in evidence.own["LatticeParameter"][:3])
            cell = f"; or the cell is about {edges}, or Wavelength {evidence.own['Wavelength'] * scale:.6f}"
        yield sentences.pop(0) + cell
    if sentences and centre:
        yield sentences[0] + _other_image(case)


def _other_image(case: Case) -> str:
    """A flip that puts the rings where BC says they are."""
    if case.flips is None or case.flips.best is None or case.evidence.image is None:
        return ""
    step = case.evidence.own["OmegaStep"]
    fitting = [each.text(step) for each in _settings(case) if each.beam_centre is None]
    return f"; BC would be right with {' or '.join(fitting)}" if fitting else ""


def _poor_rings(case: Case) -> str:
    evidence = case.evidence
    rings = ", ".join(
        f"{ring} ({evidence.counts[ring].found} of about {evidence.counts[ring].expected:.0f})"
        for ring in evidence.poor_rings
    )
    return (
        f"too few spots on rings {rings}: check SpaceGroup {evidence.own['SpaceGroup']}, LatticeParameter and the "
        "thresholds, or take the ring out of RingThresh"
    )


# ---------------------------------------------------------------- all fits, and yet nothing is found


def _limits(case: Case) -> Iterator[str]:
    """Limits that the user has set."""
    evidence = case.evidence
    if not len(evidence.seeds):
        yield _no_seeds(case)
        return
    limit = case.limit
    assert case.trial is not None
    given = case.trial.outcome(AS_GIVEN)
    fit = case.evidence.spots["spot_id"][case.trial.seeds[given.completeness >= limit]]
    if len(fit) and np.isin(fit, evidence.seeds).mean() < _MOSTLY:
        yield _other_seeds(case, len(fit))
    elif given.leading < limit:
        yield (
            f"{case.completeness_key} {limit:g} is too much: the best of the {len(given.completeness)} strongest seeds "
            f"reaches {given.best:.3f}; try {_SAFE * given.leading:.2f}"
        )
    elif refined := case.counts.get("refined"):
        yield from _dropped(case, refined)


def _dropped(case: Case, refined: int) -> Iterator[str]:
    """The limit of the grain stage that refined seeds do not reach."""
    evidence = case.evidence
    of_stage, own, ring = evidence.parameters.for_stage("grains"), evidence.own, evidence.seed_ring
    if of_stage["GrainMerging"] != "legacy" and evidence.layer.seed_verdicts.exists():
        if sentence := limit_at_fault(read_verdicts(evidence.layer.seed_verdicts), of_stage):
            yield sentence
    elif own["MinNrSpots"] > 1:
        most = 2 * int(np.count_nonzero(evidence.hkls.integers("ring") == ring))
        yield (
            f"MinNrSpots {own['MinNrSpots']} is too much: a grain needs as many refined seeds, there are {refined} "
            f"in all, and a grain has at most {most} spots on ring {ring}"
        )


def _other_seeds(case: Case, fit: int) -> str:
    """Spots of grains are not among the seeds."""
    evidence = case.evidence
    ring = evidence.seed_ring
    on_ring = int(np.count_nonzero(evidence.spots.integers("ring") == ring))
    return (
        f"{fit} of the strongest spots without a grain could be indexed, but are no seeds: only {len(evidence.seeds)} "
        f"of the {on_ring} accepted spots of ring {ring} are; check MinOmeSpotIDsToIndex {_limit_of(case, 'Min')}, "
        f"MaxOmeSpotIDsToIndex {_limit_of(case, 'Max')} and OverAllRingToIndex {ring}"
    )


def _limit_of(case: Case, end: str) -> str:
    return f"{case.evidence.own[f'{end}OmeSpotIDsToIndex']:g}"


def _no_seeds(case: Case) -> str:
    """Why there is nothing to index, when there are accepted spots."""
    evidence = case.evidence
    ring = evidence.seed_ring
    low, high = evidence.own["MinOmeSpotIDsToIndex"], evidence.own["MaxOmeSpotIDsToIndex"]
    rings = evidence.spots.integers("ring")
    omega = evidence.spots[limited_omega(evidence.own)][rings == ring]
    if possible := int(within_omegas(omega, low, high).sum()):
        return (
            f"SpotsToIndex.csv holds no seeds, though {possible} accepted spots of ring {ring} have their omega within "
            f"MinOmeSpotIDsToIndex {low:g} and MaxOmeSpotIDsToIndex {high:g}: run ff-setup again"
        )
    if len(omega):
        return (
            f"none of the {len(omega)} accepted spots of ring {ring} has its omega within MinOmeSpotIDsToIndex {low:g} "
            f"and MaxOmeSpotIDsToIndex {high:g}: they lie in {omega.min():.2f} ... {omega.max():.2f}"
        )
    fullest = int(np.argmax(np.bincount(rings)))
    before = int(np.count_nonzero(evidence.on_rings == ring))
    return (
        f"OverAllRingToIndex {ring}: of the {before} spots of this ring none is accepted (MinEta, OmegaRange, BoxSize)"
        f"; ring {fullest} has {np.count_nonzero(rings == fullest)}"
    )


# ---------------------------------------------------------------- spots that nothing explains


def _nothing_fits(case: Case) -> Iterator[str]:
    """Rings elsewhere, or other rings."""
    evidence = case.evidence
    if elsewhere := list(_rings_elsewhere(case)):
        yield from elsewhere
        return
    if (case.with_margins or 0.0) > max(CONVINCING, case.reached(case.observed, case.without) + _HELPS):
        margins = ", ".join(f"{name} {least:g}" for name, least in case.small_margins.items())
        yield (
            f"the margins are too small: with {margins} the strongest seeds reach a completeness of "
            f"{case.with_margins:.2f} instead of {case.reached(case.observed, case.without):.2f}"
        )
        return
    if (case.without_mates or 0.0) > max(CONVINCING, case.reached(case.observed, case.without) + _HELPS):
        yield (
            f"UseFriedelPairs 1 finds hardly any Friedel mates: with 0 the strongest seeds reach a completeness of "
            f"{case.without_mates:.2f} instead of {case.reached(case.observed, case.without):.2f}"
        )
    if evidence.poor_rings:
        yield _poor_rings(case)
    if not len(evidence.seeds):
        yield _no_seeds(case)


def _rings_elsewhere(case: Case) -> Iterator[str]:
    """A flip, a scale or a centre that puts the strongest maxima on rings."""
    search, flipped = case.search, case.flipped
    if search is None:
        return
    if flipped:
        words = " or ".join(f"ImTransOpt {' and '.join(map(str, word)) or '0'}" for word in flipped)
        yield (
            f"ImTransOpt is wrong: {100 * search.given.share:.0f} % of the strongest maxima lie on rings, but "
            f"{100 * max(flipped.values()):.0f} % would with {words} and BC as it is"
        )
    if search.better is not None and search.offsets is not None:
        yield from _geometry(case, search.offsets)


def unknown(case: Case) -> str:
    """When no cause can be named: how far it went."""
    if case.trial is None:
        return "no spot is accepted; look at the frames with ff-look"
    outcome = case.trial.outcome(AS_GIVEN)
    orientation = (
        "the data cannot tell whether ImTransOpt or the sign of OmegaStep is wrong"
        if case.flips is None or case.flips.best is None
        else "geometry, ImTransOpt and the sign of OmegaStep look right"
    )
    return (
        f"the best of the {len(outcome.completeness)} strongest seeds reaches a completeness of {outcome.best:.2f}, "
        f"{case.completeness_key} is {case.limit:g}; {orientation}; look at the rings with ff-look"
    )


# ---------------------------------------------------------------- no spots


def _without_spots(case: Case) -> Iterator[str]:
    """What the frames say when no spot is accepted."""
    evidence, sample = case.evidence, case.sample
    if len(evidence.on_rings):
        yield (
            f"all {len(evidence.on_rings)} spots of the rings lie outside OmegaRange, BoxSize or MinEta, or on more "
            "than MaxNFrames frames"
        )
        return
    if sample is None or not sample.rings:
        return
    if elsewhere := list(_rings_elsewhere(case)):
        yield from elsewhere
        return
    brightest = max(sample.rings, key=lambda ring: np.nan_to_num(ring.brightest, nan=-np.inf))
    lit = [ring for ring in sample.rings if 0 < ring.threshold <= ring.brightest]
    if lit:
        yield _lost(case, sample)
    elif not brightest.brightest >= sample.sensible:
        yield _dark_rings(case, sample)
    else:
        yield (
            f"no pixel reaches its threshold: the brightest of {sample.frames} frames is {brightest.brightest:.0f} "
            f"counts above the dark (ring {brightest.ring}), RingThresh there is {brightest.threshold:g}; the noise "
            f"would allow about {sample.sensible:.0f}"
        )


def _lost(case: Case, sample: FrameSample) -> str:
    """Bright pixels that gave no spots."""
    own = case.evidence.own
    limit = f", UpperBoundThreshold {own['UpperBoundThreshold']:g}" if own.legacy_digits else ""
    if limit and sample.beyond_limit > _SATURATED:
        return (
            f"{100 * sample.beyond_limit:.0f} % of the pixels above the thresholds are above UpperBoundThreshold "
            f"{own['UpperBoundThreshold']:g} too, and their regions are dropped as saturated: raise it"
        )
    if case.evidence.merged:
        return (
            f"none of the {case.evidence.merged} merged spots lies within Width {own['Width']:g} of a ring of "
            "RingThresh: check Width, or run the peak search and what follows again"
        )
    return (
        f"pixels reach their thresholds, but no region is left: check MinNrPx {own['MinNrPx']}, MaxNrPx "
        f"{own['MaxNrPx']}{limit} and the mask"
    )


def _dark_rings(case: Case, sample: FrameSample) -> str:
    """Nothing on the rings."""
    rings = " ".join(str(ring.ring) for ring in sample.rings)
    search = case.search
    if search is None:
        return (
            f"{sample.frames} frames show nothing above their noise ({sample.noise:.1f} counts), on the rings and "
            "beside them: are these the right data, and is the dark no exposure?"
        )
    there = " ".join(map(str, search.rings))
    if search.given.share > search.given.chance + _HELPS and there:
        return (
            f"ring {rings} of RingThresh is dark, but {100 * search.given.share:.0f} % of the strongest maxima lie on "
            f"ring {there} of hkls.csv: check the numbers in RingThresh"
        )
    return (
        f"ring {rings} of RingThresh is dark, and the strongest maxima lie on no ring of hkls.csv at any distance: "
        "check SpaceGroup, LatticeParameter, Wavelength and BC"
    )
