"""The numbers behind a diagnosis, a line each (docs/theory/diagnosis.md#failures)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from midas.diagnosis.case import Case
from midas.diagnosis.trial import AS_GIVEN


def lines(case: Case) -> Iterator[str]:
    """All that is known of the layer."""
    yield _counts(case)
    yield _centre(case)
    yield from _rings(case)
    yield from _frames(case)
    yield from _trial(case)


def _counts(case: Case) -> str:
    evidence, own = case.evidence, case.evidence.own
    frames = "" if evidence.scan is None else f"{evidence.scan.frames} frames, "
    peaks = f"{case.counts['peaks']} peaks; " if "peaks" in case.counts else ""
    merged = "" if evidence.merged is None else f"{evidence.merged} merged, "
    on_rings = f"{len(evidence.on_rings)} on rings, " if evidence.merged is not None else ""
    within = "omega {:g} ... {:g}".format(*(own[f"{end}OmeSpotIDsToIndex"] for end in ("Min", "Max")))
    return (
        f"{frames}{peaks}spots: {merged}{on_rings}{len(evidence.spots)} accepted, {len(evidence.seeds)} seeds (ring "
        f"{evidence.seed_ring}, {within}), {case.counts.get('refined', 0)} refined"
    )


def _centre(case: Case) -> str:
    detector, image = case.evidence.detector, case.evidence.image
    text = f"Lsd {detector.lsd:.0f} um, BC {detector.y_bc:.2f} {detector.z_bc:.2f} in the padded, transformed image"
    if image is None:
        return text
    column, row = image.to_raw(detector.y_bc, detector.z_bc)
    operations = " and ".join(str(word) for word in image.operations) or "0"
    return f"{text}, that is column {column:.2f}, row {row:.2f} of the raw one (ImTransOpt {operations})"


def _rings(case: Case) -> Iterator[str]:
    evidence = case.evidence
    offsets = {each.ring: each for each in evidence.offsets.rings} if len(evidence.spots) else {}
    thresholds = evidence.thresholds
    yield "ring  radius/um  threshold  spots  expected  offset/um     ppm"
    for ring in evidence.rings_in_use or [each for each in thresholds if each in evidence.ring_radii]:
        radius = evidence.rings_in_use.get(ring, evidence.ring_radii.get(ring, np.nan))
        found, expected = evidence.counts.get(ring, (0, 0.0))
        threshold = f"{thresholds[ring]:g}" if ring in thresholds else "-"
        start = f"{ring:4d} {radius:10.0f} {threshold:>10s} {found:6d} {expected:9.0f}"
        observed = offsets.get(ring)
        yield start if observed is None else f"{start} {observed.micrometres:+10.0f} {observed.ppm:+7.0f}"
    fit = evidence.offsets if len(evidence.spots) else None
    if fit is not None and np.isfinite(fit.scale_ppm):
        yield (
            f"all rings: {fit.scale_ppm:+.0f} +- {fit.scale_error_ppm:.0f} ppm; centre y {fit.centre[0]:+.0f} +- "
            f"{fit.centre_error[0]:.0f} um, z {fit.centre[1]:+.0f} +- {fit.centre_error[1]:.0f} um"
        )


def _frames(case: Case) -> Iterator[str]:
    """Only where they were looked at."""
    sample = case.__dict__.get("sample")
    if sample is None:
        return
    bright = ", ".join(f"{each.ring}: {each.brightest:.0f} ({each.threshold:g})" for each in sample.rings)
    yield (
        f"{sample.frames} frames: level {sample.level:.1f}, noise {sample.noise:.1f} counts; brightest pixel above the "
        f"dark (threshold) of ring {bright}"
    )
    search = case.__dict__.get("search")
    if search is not None:
        yield (
            f"strongest maxima: {len(sample.y_px)}, {100 * search.given.share:.0f} % on rings of hkls.csv as given, "
            f"{100 * search.given.chance:.0f} % would be by chance"
        )
        if search.better is not None:
            yield f"  {100 * search.better.share:.0f} % with the rings where they are observed"


def _trial(case: Case) -> Iterator[str]:
    flips = case.flips
    if case.trial is None or flips is None:
        return
    given = case.trial.outcome(AS_GIVEN)
    yield (
        f"the {len(given.completeness)} strongest seeds indexed again without a limit: completeness of the best one "
        f"{given.best:.3f}, of the best three {given.leading:.3f}; {case.completeness_key} {case.limit:g}"
    )
    views = list(flips.outcomes)
    moved = " with the rings where they are observed" if views[0] != AS_GIVEN else ""
    without = f" without ring {' '.join(map(str, sorted(case.without)))}" if case.without else ""
    yield f"the same{moved}{without}, best three: " + "; ".join(
        f"{view.name} {outcome.leading:.3f}" for view, outcome in flips.outcomes.items()
    )
