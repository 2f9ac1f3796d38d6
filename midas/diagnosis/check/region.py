"""Omega ranges and boxes: their order, their number, and whether the scan and the rings reach into them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from midas._ext.numerics.elementwise import cos, sin, tan
from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject
from midas.experiment.scan import Ranges, covered_ranges
from midas.runtime.errors import ParameterError

#: azimuths (radians) at which a ring is looked at
_POINTS = np.radians(np.arange(-180.0, 180.0))


def order(subject: Subject) -> Iterator[Finding]:
    """Limits the wrong way round, and unequal numbers of ranges and boxes."""
    ranges = subject.values["OmegaRange"] if subject.given("OmegaRange") else ()
    boxes = subject.values["BoxSize"] if subject.given("BoxSize") else ()
    for item, (low, high) in enumerate(ranges):
        if low > high:
            reason = f"is reversed: write {high:g} {low:g}; across the seam write {low:g} {_above(high, low):g}"
            yield subject.finding("OmegaRange", reason, item=item)
        elif low == high:
            yield subject.finding("OmegaRange", "holds no omega: its ends are equal", item=item)
    for item, (y_low, y_high, z_low, z_high) in enumerate(boxes):
        if y_low >= y_high or z_low >= z_high:
            right = f"{min(y_low, y_high):g} {max(y_low, y_high):g} {min(z_low, z_high):g} {max(z_low, z_high):g}"
            reason = f"is reversed: the numbers are -Y +Y -Z +Z, the smaller one first: {right}"
            yield subject.finding("BoxSize", reason, item=item)
    if ranges and boxes and len(ranges) != len(boxes) and 1 not in (len(ranges), len(boxes)):
        reason = f"has {len(boxes)} lines, but OmegaRange has {len(ranges)}; give one for each, or one for all"
        yield subject.finding("BoxSize", reason, value=f"{len(boxes)} boxes")
    low, high = subject.get("MinOmeSpotIDsToIndex"), subject.get("MaxOmeSpotIDsToIndex")
    if subject.given("MinOmeSpotIDsToIndex") and low >= high and "MaxOmeSpotIDsToIndex" not in subject.faulty:
        reason = f"is not below MaxOmeSpotIDsToIndex {high:g}: no spot can be a seed"
        yield subject.finding("MinOmeSpotIDsToIndex", reason)


def scanned(subject: Subject) -> Iterator[Finding]:
    """Ranges where nothing was measured, and seeds that are sought there."""
    if {"OmegaStep", "OmegaStart", "OmegaFirstFile", "SkipFrame"} & subject.faulty:
        return
    covered = subject.covered
    if covered is None:
        return
    scan = " and ".join(f"{low:g} ... {high:g}" for low, high in covered)
    if subject.given("OmegaRange"):
        yield from _ranges(subject, covered, scan)
    low, high = subject.get("MinOmeSpotIDsToIndex"), subject.get("MaxOmeSpotIDsToIndex")
    given = [name for name in ("MinOmeSpotIDsToIndex", "MaxOmeSpotIDsToIndex") if subject.given(name)]
    if given and low < high and _overlap(covered, (low, high)) == 0:
        reason = (
            f"no spot of the scan, which covers omega {scan}, lies in {low:g} ... {high:g}: there would be no seeds"
        )
        yield subject.finding(given[0], reason)


def _ranges(subject: Subject, covered: Ranges, scan: str) -> Iterator[Finding]:
    ranges = subject.values["OmegaRange"]
    step = abs(subject.get("OmegaStep", 0.0))
    shares = [_overlap(covered, one) / min(max(one[1] - one[0], 1e-9), 360.0) for one in ranges]
    for item, ((low, high), share) in enumerate(zip(ranges, shares, strict=True)):
        if low >= high:
            continue
        if share == 0:
            reason = f"the scan covers omega {scan}, nothing of this range{_other_sign(subject, (low, high))}"
            yield subject.finding("OmegaRange", reason, item=item, warning=any(shares))
        elif (1 - share) * min(high - low, 360.0) > 2 * step:
            reason = f"the scan covers omega {scan}, {100 * share:.0f} % of this range; spots that are expected in the "
            reason += f"rest lower the completeness{_other_sign(subject, (low, high))}"
            yield subject.finding("OmegaRange", reason, item=item, warning=True)


def _above(omega: float, low: float) -> float:
    """The same omega, in the turn above `low`."""
    return low + (omega - low) % 360


def _other_sign(subject: Subject, wanted: tuple[float, float]) -> str:
    """A hint when a scan in the other direction would cover the range."""
    omegas, step = subject.omegas, subject.get("OmegaStep", 0.0)
    if omegas is None or not subject.given("OmegaStep") or (subject.scan and subject.scan.omegas is not None):
        return ""
    mirrored = covered_ranges(2 * omegas[0] - omegas, -step)
    width = min(wanted[1] - wanted[0], 360.0)
    if _overlap(mirrored, wanted) >= width - 2 * abs(step):
        return f"; OmegaStep {-step:g} would cover it: check the sign of OmegaStep"
    return "; check OmegaStart and OmegaStep"


def _overlap(covered: Ranges, wanted: tuple[float, float]) -> float:
    """Degrees of a range that the covered intervals share, modulo a turn."""
    low, high = wanted
    if high - low >= 360:
        return sum(end - begin for begin, end in covered)
    turns = range(math.floor((low - 180) / 360), math.ceil((high + 180) / 360) + 1)
    parts = (min(high, end + 360 * n) - max(low, begin + 360 * n) for begin, end in covered for n in turns)
    return sum(part for part in parts if part > 0)


def boxes(subject: Subject) -> Iterator[Finding]:
    """Boxes that hold no part of any ring."""
    if not subject.given("BoxSize", "RingThresh"):
        return
    try:
        listed = subject.rings
    except ParameterError:
        return  # said about the rings
    two_theta = [listed[int(ring)] for ring, _ in subject.values["RingThresh"] if listed and int(ring) in listed]
    if not two_theta:
        return
    radius = subject.values["Lsd"] * tan(np.radians(two_theta))[:, None]
    y, z = -radius * sin(_POINTS), radius * cos(_POINTS)

    def holds(box: tuple[float, ...]) -> bool:
        return bool(((box[0] <= y) & (y < box[1]) & (box[2] <= z) & (z < box[3])).any())

    px = subject.get("px", 1.0)
    held = [holds(box) for box in subject.values["BoxSize"]]
    for item, box in enumerate(subject.values["BoxSize"]):
        if held[item] or box[0] >= box[1] or box[2] >= box[3]:
            continue
        units = [name for name, factor in (("pixels", px), ("mm", 1e3)) if holds(tuple(factor * x for x in box))]
        reason = "no part of any ring of RingThresh lies in this box"
        reason += (
            f"; it looks like {units[0]}, BoxSize is in µm" if units else "; it is in µm around the beam: -Y +Y -Z +Z"
        )
        yield subject.finding("BoxSize", reason, item=item, warning=any(held))
