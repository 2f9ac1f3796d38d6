"""Whether an image is one of the powder that it is said to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from midas.calibration.powder.calibrants import Calibrant, calibrants_of, rings_of
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.which_powder import check_powder
from midas.experiment.detector import DetectorGeometry
from midas.runtime.errors import StageError

DETECTOR = DetectorGeometry(230000.0, 150.3, 148.6, 200.0, 45000.0, wavelength=0.172973)
SIDE = 300


def rings(name: str) -> Rings:
    assert DETECTOR.wavelength is not None
    return rings_of(calibrants_of(name), DETECTOR.wavelength, 20.0)


def radii(name: str, lsd: float = DETECTOR.lsd) -> np.ndarray:
    """px, of the rings of a powder."""
    assert DETECTOR.wavelength is not None
    return lsd / DETECTOR.px * np.tan(np.radians(rings(name).two_theta(DETECTOR.wavelength)))


def image(*places: float) -> PowderImage:
    """Smooth rings at radii (px), all equally strong."""
    z, y = np.mgrid[0:SIDE, 0:SIDE]
    radius = np.hypot(y - DETECTOR.y_bc, z - DETECTOR.z_bc)
    counts = 50 + sum(1000 * np.exp(-0.5 * ((radius - place) / 1.2) ** 2) for place in places if place < 220)
    counts = np.random.default_rng(1).poisson(counts).astype(float)
    return PowderImage(counts, np.zeros((SIDE, SIDE), bool), 1, np.inf, (SIDE, SIDE))


def same_scale(name: str, instead: str) -> float:
    """The distance at which rings of one cubic powder are where those of another with equal indices are."""
    edges = {"CeO2": 5.411651, "LaB6": 4.156826, "Si": 5.431144}
    return DETECTOR.lsd * edges[instead] / edges[name]


@pytest.mark.parametrize("name", ["CeO2", "LaB6", "Si", "Al2O3"])
def test_nothing_is_said_of_the_right_powder(name: str) -> None:
    assert check_powder(image(*radii(name)), DETECTOR, calibrants_of(name), rings(name)) == []


def test_a_peak_that_is_no_ring_betrays_another_powder() -> None:
    """The rings of silicon are those of CeO2 without 200 and its family."""
    seen = image(*radii("CeO2", same_scale("Si", "CeO2")))
    with pytest.raises(StageError, match=r"no rings of Si, and CeO2 with Lsd 229\d\d\d um .* is the powder CeO2\?"):
        check_powder(seen, DETECTOR, calibrants_of("Si"), rings("Si"))


@pytest.mark.parametrize(("name", "farther"), [("Si", 1.0), ("LaB6", 2.0)])
def test_rings_that_are_no_peaks_betray_another_powder(name: str, farther: float) -> None:
    """Rings of LaB6 twice as far away are 200, 220, 222, 400 ... of CeO2."""
    seen = image(*radii(name, farther * same_scale("CeO2", name)))
    with pytest.raises(StageError, match=f"of CeO2 are not in the image, and {name} with Lsd"):
        check_powder(seen, DETECTOR, calibrants_of("CeO2"), rings("CeO2"))


def test_one_ring_that_is_missing_is_a_warning() -> None:
    """It may be too weak to be seen."""
    far = replace(DETECTOR, lsd=1.3 * DETECTOR.lsd)
    (words,) = check_powder(
        image(*radii("Si", 1.3 * same_scale("CeO2", "Si"))), far, calibrants_of("CeO2"), rings("CeO2")
    )
    assert words.startswith("ring 2 of CeO2 is not in the image, and Si with Lsd")


def test_what_nobody_knows_may_lack_rings() -> None:
    """The structure decides which rings of a cell are strong, and that of the user's own powder is not known."""
    other = [Calibrant("", 225, (5.0, 5.0, 5.0, 90.0, 90.0, 90.0))]
    assert DETECTOR.wavelength is not None
    own = rings_of(other, DETECTOR.wavelength, 20.0)
    (words,) = check_powder(image(*radii("Si", DETECTOR.lsd * 5.431144 / 5.0)), DETECTOR, other, own)
    assert "of the calibrant are not in the image, and Si with Lsd" in words


def test_a_second_phase_is_a_warning() -> None:
    (words,) = check_powder(image(*radii("CeO2"), 88.0), DETECTOR, calibrants_of("CeO2"), rings("CeO2"))
    assert words == "peaks at 88.0 px from the beam are no rings of CeO2: a second phase, or a wrong calibrant"


def test_most_peaks_must_be_rings() -> None:
    odd = image(*(60.0 + 13.7 * np.arange(7)))
    with pytest.raises(StageError, match="more than half of them: check calibrant, wavelength and px"):
        check_powder(odd, DETECTOR, calibrants_of("CeO2"), rings("CeO2"))


def test_rings_that_the_user_leaves_out_need_not_be_there() -> None:
    whole = rings("CeO2")
    kept = np.isin(whole.number, [1, 3, 4, 6, 7, 9, 10, 11])
    used = Rings(whole.number[kept], whole.d_spacing[kept], whole.multiplicity[kept])
    seen = image(*radii("CeO2")[kept])
    assert check_powder(seen, DETECTOR, calibrants_of("CeO2"), used) == []
