"""The scan: how many frames it has, how large they are, how it turns."""

from __future__ import annotations

from collections.abc import Iterator

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject

#: a frame that turns the sample by more than this (degrees) is no frame of a rotation scan
_LARGEST_STEP = 30.0


def frames(subject: Subject) -> Iterator[Finding]:
    """`EndNr`, `SkipFrame` and the size of the detector against the raw files."""
    scan = subject.scan
    if scan is None:
        return
    end = subject.parameters("check").get("EndNr", scan.frames)
    if end != scan.frames and subject.request.converts:
        file = scan.path.name
        reason = f"the scan has {scan.frames} frames, all of which are used; is {file} complete, and the right one?"
        yield subject.finding("EndNr", reason, warning=True)
    if subject.given("SkipFrame") and subject.values["SkipFrame"] >= scan.frames:
        yield subject.finding("SkipFrame", f"leaves no frame: the scan has {scan.frames}")
    for name, size in (("NrPixels", scan.columns), ("NrPixelsY", scan.columns), ("NrPixelsZ", scan.rows)):
        beside = {"NrPixelsY", "NrPixelsZ"} & subject.values.keys()
        if name == "NrPixels" and (beside or scan.columns != scan.rows):
            continue
        if subject.given(name) and subject.values[name] != size:
            reason = (
                f"the frames have {scan.columns} columns and {scan.rows} rows, which count; is BC that of these frames?"
            )
            yield subject.finding(name, reason, warning=True)


def rotation(subject: Subject) -> Iterator[Finding]:
    """`OmegaStep` that cannot be that of a frame."""
    if not subject.given("OmegaStep"):
        return
    step = subject.values["OmegaStep"]
    count = subject.scan.frames if subject.scan is not None else subject.get("EndNr", 2)
    if step == 0 and count > 1 and "radius" in subject.request.parts:
        yield subject.finding("OmegaStep", "must not be 0: it is the rotation of one frame, degrees")
    elif abs(step) > _LARGEST_STEP and count > 1:
        reason = f"is the rotation of one frame, degrees; with {count} frames the scan would turn {abs(step) * count:g}"
        yield subject.finding("OmegaStep", reason, warning=True)
