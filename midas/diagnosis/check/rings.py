"""Rings that the crystal does not have, that lie beyond `RhoD` or beside the detector; the beam centre."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject
from midas.experiment.detector import DetectorGeometry
from midas.experiment.region import on_detector
from midas.runtime import logs
from midas.runtime.errors import ParameterError

#: of a crystal with more rings than this nobody looks for those farther out
_MANY_RINGS = 100
#: beyond this two_theta (degrees) nobody looks for rings
_FARTHEST = 60.0
#: a beam centre farther beside the detector than its side is no beam centre
_FARTHEST_SIDES = 1.0
#: one in another unit is no nearer to the edge than this part of the side
_NEAREST = 0.05


def beam_centre(subject: Subject) -> Iterator[Finding]:
    """`BC` in µm or mm, or far beside the detector."""
    image = subject.image
    if image is None or not subject.given("BC"):
        return
    centre, side = subject.values["BC"], image.side
    if all(-_FARTHEST_SIDES * side <= x <= (1 + _FARTHEST_SIDES) * side for x in centre):
        return
    px = subject.values["px"] if subject.given("px") else math.nan
    for unit, factor in (("µm", 1 / px), ("mm", 1e3 / px)):
        if all(_NEAREST * side <= factor * x <= side for x in centre):
            right = " ".join(f"{factor * x:.6g}" for x in centre)
            yield subject.finding("BC", f"looks like {unit}; BC is in pixels: write {right}")
            return
    reason = f"lies far beside the image of {side} x {side} pixels; is it in pixels, column first?"
    yield subject.finding("BC", reason)


def rings(subject: Subject) -> Iterator[Finding]:
    """The rings of `RingThresh` against the hkl list and the detector."""
    try:
        two_theta = subject.rings
    except ParameterError as error:
        key = error.key or ""
        yield Finding(error.reason, subject.spelling(key), error.value, subject.line(key))
        return
    if two_theta is None or (subject.get("DoFullImage") and "fit_setup" not in subject.request.parts):
        return
    if not two_theta:
        reason = f"no ring of the crystal lies within it; at Lsd {subject.values['Lsd']:g} µm rings are farther out"
        yield subject.finding("RhoD", reason)
    elif subject.given("RingThresh"):
        wanted = {int(ring): item for item, (ring, _) in reversed([*enumerate(subject.values["RingThresh"])])}
        yield from _beyond_the_list(subject, wanted, two_theta)
        yield from _beside_the_detector(subject, wanted, two_theta)
        yield from _other_lists(subject, wanted)


def _beyond_the_list(subject: Subject, wanted: dict[int, int], two_theta: dict[int, float]) -> Iterator[Finding]:
    missing = sorted(set(wanted) - set(two_theta))
    nothing_left = len(missing) == len(wanted)
    for ring in missing:
        radius = _radius_beyond(subject, ring)
        where = "" if radius is None else f", its radius is {radius:.0f} µm"
        reason = (
            f"ring {ring} lies beyond RhoD {subject.values['RhoD']:g} µm{where}; the last ring within is "
            f"{max(two_theta)}: leave it out or enlarge RhoD"
        )
        is_seed = ring == subject.get("OverAllRingToIndex") and "fit_setup" in subject.request.parts
        yield subject.finding("RingThresh", reason, item=wanted[ring], warning=not (nothing_left or is_seed))
        logs.first_time("absent ring", ring)  # the stages need not say it again


def _radius_beyond(subject: Subject, ring: int) -> float | None:
    """Radius (µm) of a ring beyond `RhoD`; None where the crystal has none, or it would take long to look."""
    lsd, rho = subject.values["Lsd"], subject.values["RhoD"]
    farther = min(4 * rho, lsd * math.tan(math.radians(_FARTHEST)))
    if farther <= rho or len(subject.rings or {}) > _MANY_RINGS:
        return None
    try:
        beyond = subject.rings_within(farther)
    except ParameterError:
        return None
    return lsd * math.tan(math.radians(beyond[ring])) if ring in beyond else None


def _beside_the_detector(subject: Subject, wanted: dict[int, int], two_theta: dict[int, float]) -> Iterator[Finding]:
    image, present = subject.image, sorted(set(wanted) & set(two_theta))
    if image is None or not present or not subject.given("BC", "px"):
        return
    detector = DetectorGeometry.from_parameters(subject.parameters("fit_setup"))
    seen = on_detector(detector, image, np.array([two_theta[ring] for ring in present])).mean(axis=1)
    if not seen.any():
        y, z = subject.values["BC"]
        reason = f"no part of any ring of RingThresh falls on the image of {image.columns} x {image.rows} pixels; "
        yield subject.finding("BC", f"{reason}check BC, Lsd and px")
        return
    for ring in np.array(present)[seen == 0]:
        radius = detector.lsd * math.tan(math.radians(two_theta[int(ring)])) / detector.px
        reason = f"no part of ring {ring}, of radius {radius:.0f} pixels, falls on the detector; leave it out"
        is_seed = ring == subject.get("OverAllRingToIndex") and "fit_setup" in subject.request.parts
        yield subject.finding("RingThresh", reason, item=wanted[int(ring)], warning=not is_seed)


def _other_lists(subject: Subject, wanted: dict[int, int]) -> Iterator[Finding]:
    """Keys that name rings of `RingThresh`."""
    if subject.given("OverAllRingToIndex") and subject.values["OverAllRingToIndex"] not in wanted:
        rings_text = " ".join(map(str, sorted(wanted)))
        reason = f"must be one of the rings of RingThresh, {rings_text}: seeds come from its spots"
        yield subject.finding("OverAllRingToIndex", reason)
    if subject.given("RingsToExcludeFraction") and set(subject.values["RingsToExcludeFraction"]) >= set(wanted):
        reason = "names every ring of RingThresh: nothing would be left to index with"
        yield subject.finding("RingsToExcludeFraction", reason)
