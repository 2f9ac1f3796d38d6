"""Numbers that have a meaning only in a part of their range, and numbers that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject

_TRANSFORMATIONS = (0, 1, 2, 3)


def completeness(subject: Subject) -> Iterator[Finding]:
    """`Completeness` is a fraction."""
    if not subject.given("Completeness"):
        return
    value = subject.values["Completeness"]
    if 1 < value <= 100:
        yield subject.finding("Completeness", f"looks like percent; it lies in 0 ... 1: write {value / 100:g}")
    elif not 0 <= value <= 1:
        yield subject.finding("Completeness", "must lie in 0 ... 1")


def angles(subject: Subject) -> Iterator[Finding]:
    """Poles and tilts."""
    if subject.given("MinEta") and not 0 <= subject.values["MinEta"] < 90:
        yield subject.finding("MinEta", "must lie in 0 ... 90 degrees: it is the angle around the poles to leave out")
    for name in ("tx", "ty", "tz", "Wedge"):
        # The detector may be turned about the beam by any angle, but is never far from standing upright.
        limit = 180 if name == "tx" else 20
        if subject.given(name) and abs(subject.values[name]) > limit:
            reason = "is large for an angle in degrees; was it meant in another unit?"
            yield subject.finding(name, reason, warning=True)


def transformations(subject: Subject) -> Iterator[Finding]:
    """`ImTransOpt` has four values."""
    if subject.given("ImTransOpt"):
        for item, operation in enumerate(subject.values["ImTransOpt"]):
            if operation not in _TRANSFORMATIONS:
                reason = "must be 0 (none), 1 (flip Y), 2 (flip Z) or 3 (transpose)"
                yield subject.finding("ImTransOpt", reason, item=item)


def thresholds(subject: Subject) -> Iterator[Finding]:
    """Thresholds of the rings, and what is too bright or too large."""
    if not subject.given("RingThresh"):
        return
    limit = subject.get("UpperBoundThreshold") if "UpperBoundThreshold" not in subject.faulty else None
    if limit is not None and limit <= 0:
        yield subject.finding(
            "UpperBoundThreshold", "must be greater than 0: pixels of that many counts are too bright"
        )
        limit = None
    dark = []
    for item, (ring, threshold) in enumerate(subject.values["RingThresh"]):
        if ring != int(ring) or ring < 1:
            yield subject.finding("RingThresh", "a ring number must be a whole number from 1 on", item=item)
        if threshold < 0:
            yield subject.finding("RingThresh", "a threshold must not be negative", item=item)
        if limit is not None and threshold >= limit:
            dark.append(item)
    for item in dark:
        reason = f"the threshold is not below UpperBoundThreshold {limit:g}: every spot of this ring is saturated"
        all_of_them = len(dark) == len(subject.values["RingThresh"])
        yield subject.finding("RingThresh", reason, item=item, warning=not all_of_them)
    if subject.get("MaxNrPx") <= subject.get("MinNrPx") + 1 and not {"MaxNrPx", "MinNrPx"} & subject.faulty:
        name = "MaxNrPx" if "MaxNrPx" in subject.values else "MinNrPx"
        reason = f"MinNrPx {subject.get('MinNrPx')} and MaxNrPx {subject.get('MaxNrPx')} leave no region of any size"
        yield subject.finding(name, reason)


def steps(subject: Subject) -> Iterator[Finding]:
    """Steps of the search, and models that have numbers."""
    if subject.given("StepSizeOrient") and subject.values["StepSizeOrient"] <= 0:
        yield subject.finding("StepSizeOrient", "must be greater than 0: it is the step of the orientations, degrees")
    if subject.given("DiscModel") and subject.values["DiscModel"] not in (0, 1):
        yield subject.finding("DiscModel", "must be 0 or 1")


def times(subject: Subject) -> Iterator[Finding]:
    """Exposure and gap."""
    for name in ("tInt", "tGap"):
        if subject.given(name) and subject.values[name] < 0:
            yield subject.finding(name, "must not be negative")


def panels(subject: Subject) -> Iterator[Finding]:
    """Panels need a size, and a gap between each two."""
    for axis in "YZ":
        count, size, gaps = (f"{name}{axis}" for name in ("NPanels", "PanelSize", "PanelGaps"))
        if subject.get(f"NPanels{axis}") > 0:
            if subject.get(size) <= 0:
                yield Finding(f"is missing: {count} needs the size of a panel in pixels; add it", size)
            if len(subject.get(gaps)) < subject.get(count) - 1:
                reason = f"{count} {subject.get(count)} needs {subject.get(count) - 1} numbers in one line"
                yield subject.finding(gaps, reason)


def grain_selection(subject: Subject) -> Iterator[Finding]:
    """Limits of the grain stage that contradict each other, or select nothing."""
    by_default = "legacy" if subject.get("LegacyDigits") == 1 else "spots"
    if subject.values.get("GrainMerging", by_default) == "legacy":
        return
    tolerance = subject.get("MosaicTolerance")
    known = subject.given("MosaicGap") and "MosaicTolerance" not in subject.faulty
    if known and subject.values["MosaicGap"] > tolerance:
        yield subject.finding("MosaicGap", f"must not be above MosaicTolerance, which is {tolerance:g}")
    limits = ("MinUniqueSpots", "UniqueCompleteness")
    if not subject.faulty & set(limits) and all(subject.get(name) == 0 for name in limits):
        # One of them is given, since neither is 0 by default.
        first, other = limits if limits[0] in subject.values else limits[::-1]
        reason = f"with {other} 0 too every seed is a grain, also those that explain no spot of their own"
        yield subject.finding(first, reason, warning=True)
