"""The pipeline end to end on frames that the referee makes, against the truth (docs/accuracy.md#the-referee).

The figures of a run are printed with ``pytest -rP``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from .referee.frames import Recording, Scan
from .scans import Measurement, nickel


@dataclass(frozen=True)
class Limits:
    """Largest errors of any grain: µm, degrees, 1e-6; and the smallest share of the recorded spots in the grains."""

    position: float = 0.5
    rotation: float = 0.015
    strain: float = 60.0
    share: float = 0.99


PLAIN = Measurement(nickel(5, 5))


def ranged(start: float, step: float = 1.0, spread: float = 0.3) -> Measurement:
    """180 frames from `start` on, all of which `OmegaRange` names."""
    scan = Scan(start, step, 180)
    return replace(
        PLAIN, scan=scan, recording=Recording(spread=spread), keys=(("OmegaRange", [(scan.start, scan.end)]),)
    )


@pytest.mark.parametrize(
    ("measurement", "limits"),
    [
        pytest.param(
            PLAIN.at(tilts=(0.2, 0.3, -0.25), distortion=(1e-4, -5e-5, 3e-4, 10), beam_centre=(126.4, 130.2)),
            Limits(),
            id="small-tilts-and-distortion",
        ),
        # In the field the wedge was taken for a change of omega: every grain lay 45 µm too low.
        pytest.param(PLAIN.at(wedge=0.5), Limits(position=0.8), id="wedge"),
        pytest.param(PLAIN.at(tilts=(3, 5, -6)), Limits(), id="tilts-of-5"),
        pytest.param(PLAIN.at(tilts=(30, 15, -12)), Limits(position=0.8), id="tilts-of-30"),
        # In the field half of the spots were lost: omegas beyond 180 were compared with the range as they stood.
        pytest.param(ranged(90), Limits(), id="90-to-270"),
        pytest.param(ranged(-270), Limits(), id="270-to-90-backwards"),
        pytest.param(ranged(0, 2.0, 0.6), Limits(), id="whole-turn"),
        pytest.param(
            replace(
                PLAIN,
                crystals=nickel(5, 5, size=30, mosaic=0.1),
                recording=Recording(counts=80000, background=20, noise=True),
                threshold=60,
            ),
            Limits(position=4.0),
            id="extended-mosaic-noisy",
        ),
        # A third of the peaks; the frames tell the limit. In the field the clipped frame of a spot was dropped, and its
        # two halves stayed as spots beside each other: grains of low completeness, a fifth of a degree off.
        pytest.param(
            replace(
                PLAIN,
                recording=Recording(counts=4e5, full_scale=16383),
                keys=(("UpperBoundThreshold", []),),
            ),
            Limits(position=1.5, strain=110),
            id="saturated",
        ),
    ],
)
def test_every_grain_is_found(measurement: Measurement, limits: Limits, tmp_path: Path) -> None:
    verdict, share = measurement.judged(tmp_path)
    print(f"{verdict}, {100 * share:.1f} % of the recorded spots")
    assert verdict.missing == ()
    assert verdict.spurious == 0
    assert share >= limits.share
    assert verdict.distance.max() <= limits.position
    assert verdict.angle.max() <= limits.rotation
    assert verdict.strain.max() <= limits.strain
