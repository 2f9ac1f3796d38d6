"""Numbers that look as if they were in another unit.

A key has a range in which the values of all experiments lie, a wide one. A value beside it that lies in the range once
it is converted from another usual unit is that unit; any other value beside it is odd, and a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject
from midas.experiment.detector import KEV_ANGSTROM
from midas.parameters.table import KEYS


@dataclass(frozen=True)
class Unit:
    """Another unit of a key.

    Parameters
    ----------
    name : of the unit
    convert : a number in this unit to the one that the key has
    """

    name: str
    convert: Callable[[float], float]


def _times(name: str, factor: float) -> Unit:
    return Unit(name, lambda value: value * factor)


@dataclass(frozen=True)
class Usual:
    """Where the values of a key lie, and the other units that people use, the likelier one first."""

    low: float
    high: float
    others: tuple[Unit, ...]

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


_MM, _CM, _M, _METRES = _times("mm", 1e3), _times("cm", 1e4), _times("m", 1e6), _times("m", 1e10)
_WAVELENGTHS = (
    Unit("keV", lambda value: KEV_ANGSTROM / value),
    Unit("eV", lambda value: 1e3 * KEV_ANGSTROM / value),
    _times("nm", 10),
    _METRES,
)

USUAL = {
    "Lsd": Usual(2e4, 1e8, (_MM, _M, _CM)),
    "px": Usual(2, 1e4, (_MM, _M)),
    "Wavelength": Usual(0.03, 2, _WAVELENGTHS),
    "Rsample": Usual(2, 1e5, (_MM, _M)),
    "Hbeam": Usual(2, 1e5, (_MM, _M)),
    "MarginRadial": Usual(5, 1e6, (_MM,)),
    "MarginEta": Usual(5, 1e6, (_MM,)),
    "StepSizePos": Usual(1, 2e3, ()),
}
#: lattice parameters, and lengths on the detector that people give in pixels too
_EDGE = Usual(1.5, 400, (_times("nm", 10), _METRES, _times("pm", 0.01)))
_ON_DETECTOR = {"RhoD": Usual(1e4, 1e7, ()), "Width": Usual(20, 2e5, ())}
#: what is given in pixels is larger than what is given in mm
_PIXELS_FROM = {"RhoD": 400, "Width": 3}


def units(subject: Subject) -> Iterator[Finding]:
    """Numbers in another unit than that of their key."""
    for name, usual in USUAL.items():
        if subject.given(name):
            yield from _odd(subject, name, usual)
    for name, usual in _ON_DETECTOR.items():
        if subject.given(name):
            others: tuple[Unit, ...] = (_MM,)
            if subject.given("px") and subject.values["px"] in USUAL["px"]:
                pixels = _times("pixels", subject.values["px"])
                others = (pixels, _MM) if subject.values[name] >= _PIXELS_FROM[name] else (_MM, pixels)
            yield from _odd(subject, name, Usual(usual.low, usual.high, others))
    if subject.given("LatticeParameter"):
        yield from _cell(subject)


def _odd(subject: Subject, name: str, usual: Usual) -> Iterator[Finding]:
    value, unit = float(subject.values[name]), KEYS[name].unit
    if value in usual:
        return
    for other in usual.others:
        if value > 0 and other.convert(value) in usual:
            reason = f"looks like {other.name}; {name} is in {unit}: write {other.convert(value):.6g}"
            yield subject.finding(name, reason)
            return
    reason = f"is far from what experiments have, {usual.low:g} ... {usual.high:g} {unit}"
    yield subject.finding(name, reason, warning=True)


def _cell(subject: Subject) -> Iterator[Finding]:
    """Edges in nm, angles in radians."""
    cell = subject.values["LatticeParameter"]
    edges, angles = cell[:3], cell[3:]
    if all(0 < angle < 3.2 for angle in angles):
        yield subject.finding("LatticeParameter", "has angles that look like radians; they are in degrees")
        return
    if min(edges) <= 0 or all(edge in _EDGE for edge in edges):
        return
    for other in _EDGE.others:
        if all(other.convert(edge) in _EDGE for edge in edges):
            right = " ".join(f"{other.convert(edge):.6g}" for edge in edges)
            reason = f"has edges that look like {other.name}; they are in Å: write {right}"
            yield subject.finding("LatticeParameter", reason)
            return
