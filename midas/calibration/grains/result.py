"""What the joint fit of grains and instrument found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from midas.calibration.grains.observed import Spots
from midas.calibration.grains.wobble import WobbleTerm
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: words of a verdict that stand alone
WELL, HELD, RAILED, KEPT = "well determined", "held", "railed", "no better than the start: kept"
#: of a distance by a lattice constant that the rotation angles are against
CONTRADICTED = "contradicted by the rotation angles"


@dataclass(frozen=True)
class Number:
    """A number of an instrument.

    Parameters
    ----------
    name : Lsd BCy BCz tx ty tz p0 p1c p1s p2 Wedge Omega0 Wavelength, a term of the wobble, dY0 dZ0 of a panel; with
        several detectors those of one detector end with its number, ``Lsd[2]``
    start, value : before and after
    sigma : standard deviation; NaN where it was not fitted
    unit : its unit in files: um, px, deg, A or nothing
    pixel : the change of it that moves spots far out by one pixel
    partner : with which other number it goes, or with what of the grains; "" for none
    r : correlation with that number; NaN where there is none
    verdict : in words
    """

    name: str
    start: float
    value: float
    sigma: float
    unit: str
    pixel: float
    partner: str
    r: float
    verdict: str

    @property
    def change(self) -> float:
        """Value minus start."""
        return self.value - self.start

    @property
    def fitted(self) -> bool:
        """Whether the value is not that of the start by agreement."""
        return bool(np.isfinite(self.sigma))


@dataclass(frozen=True)
class Modes:
    """Combinations of the free numbers without any convention, the least known first.

    Parameters
    ----------
    names : (m,) of the free numbers
    vectors : (m, m), a row each, in units of one pixel
    sigma : (m,) px
    response : (m, 8) what the grains do per pixel of each: mean X, Y, Z (µm), mean turn about x, y, z (degrees), mean
        strain, mean of E33 - (E11 + E22)/2 (10⁻⁶)
    """

    names: tuple[str, ...]
    vectors: Array
    sigma: Array
    response: Array


@dataclass(frozen=True)
class FittedGrains:
    """The grains of the fit, in the order of the first layer's list.

    Parameters
    ----------
    ids : (g, d) int64, grain ids in each layer
    positions : (g, 3) µm
    orientation : (g, 3, 3), crystal to sample
    cell : (g, 6) Å, degrees
    strain : (g, 6), 11 22 33 23 13 12 in the sample frame, 10⁻⁶
    covariance : (g, 12, 12) with the geometry as it is, of `midas._ext.calibrate.joint.GRAIN_COLUMNS`; six rows of NaN
        where every cell is trusted
    response : (g, 12, m), change of a grain per change of each free number
    start_positions, start_strain : before the fit
    spots, used : (g,) int64 spots of each, and inliers among them
    chi2 : (g,) mean square of the inliers in standard deviations, 1 where all is well
    flag : (g,) int64, `GOOD` or `SINGULAR` of `midas.formats.uncertainty`
    """

    ids: Whole
    positions: Array
    orientation: Array
    cell: Array
    strain: Array
    covariance: Array
    response: Array
    start_positions: Array
    start_strain: Array
    spots: Whole
    used: Whole
    chi2: Array
    flag: Whole


@dataclass(frozen=True)
class SpotResiduals:
    """Every spot of the fit; the arrays have the shapes (3, n) for radial and tangential (µm) and omega (degrees).

    Parameters
    ----------
    spots : with detector and reflection; `Spots.grain` is the row among the fitted grains
    before, after : residuals with the geometry of the start, to which the grains are fitted, and at the end
    held_before, held_after : the same of spots that the fit has not seen, NaN where that was not asked
    sigma : standard deviation that is expected
    weight : (2, n) of the place and of omega, 0 … 1
    """

    spots: Spots
    before: Array
    after: Array
    held_before: Array
    held_after: Array
    sigma: Array
    weight: Array


@dataclass(frozen=True)
class SetVerdict:
    """What the held-out spots say about a set of numbers.

    Parameters
    ----------
    words : of the set, as of `-refine`
    kept : whether it is refined
    rise : of the mean loss of a held-out spot without it; NaN where that was not asked
    error : its standard error over the folds
    loss : with it
    reason : why it was not asked
    """

    words: tuple[str, ...]
    kept: bool
    rise: float = float("nan")
    error: float = float("nan")
    loss: float = float("nan")
    reason: str = ""


@dataclass(frozen=True)
class HeldOut:
    """How well spots are predicted that the fit has not seen, per detector.

    Parameters
    ----------
    radial, tangential : (d, 2) robust standard deviations before and after, µm
    distance : (d, 2) medians of the distance from the prediction, µm
    loss : mean loss of a spot before and after
    worse : whether it has risen by more than chance
    folds : parts of the spots of which one is held out
    """

    radial: Array
    tangential: Array
    distance: Array
    loss: tuple[float, float]
    worse: bool
    folds: int


@dataclass(frozen=True)
class GeometryResult:
    """A refined geometry, how well it is known, and the grains that go with it.

    Parameters
    ----------
    detectors, starts : one per layer
    panels : (p, 2) further shifts of all panels in y and z, px, detector by detector; no rows without panels
    panels_per_detector : (d,) number of panels of each detector
    wobble : terms of the stage's wobble, fitted or as the residuals want them
    omega_zero : (d,) degrees, added to the predicted omega
    numbers : every number of the instruments, fitted or held
    free : names of the fitted ones, in the order of `covariance`
    covariance : (m, m) under the conventions, the floor of a spot's uncertainty included
    modes : what the spots alone tell
    grains, residuals : of the fit
    sets : what was asked of the held-out spots; empty when the numbers were given
    held_out : before and after
    trust, height : the conventions: whom to trust for the scale, mean z of the grains (µm)
    wedge_model : ``exact`` or ``legacy``
    iterations, converged : of the last fit
    log : of its iterations: cost, damping, whether the step was taken, the free numbers
    classes : name, spots, and the scales of the classes of place (radial and tangential, µm) and omega (degrees)
    sentences : for the user: what the data cannot tell, what was left out, what to mind
    rounds : fits: before and after matching again, after leaving grains out ...
    """

    detectors: tuple[DetectorGeometry, ...]
    starts: tuple[DetectorGeometry, ...]
    panels: Array
    panels_per_detector: tuple[int, ...]
    wobble: tuple[WobbleTerm, ...]
    omega_zero: Array
    numbers: tuple[Number, ...]
    free: tuple[str, ...]
    covariance: Array
    modes: Modes
    grains: FittedGrains
    residuals: SpotResiduals
    sets: tuple[SetVerdict, ...]
    held_out: HeldOut
    trust: str | float
    height: float
    wedge_model: str
    iterations: int
    converged: bool
    log: Array = field(repr=False)
    classes: tuple[tuple[str, int, float, float], ...]
    sentences: tuple[str, ...]
    rounds: int

    @property
    def detector(self) -> DetectorGeometry:
        """Of the first layer."""
        return self.detectors[0]

    @property
    def wedge(self) -> float:
        """Of the first layer, degrees."""
        return self.detectors[0].wedge

    @property
    def sigma(self) -> dict[str, float]:
        """Standard deviation of each fitted number."""
        return {number.name: number.sigma for number in self.numbers if number.fitted}

    @property
    def verdicts(self) -> dict[str, str]:
        """Of each number, in words."""
        return {number.name: number.verdict for number in self.numbers}

    def number(self, name: str) -> Number:
        """By its name."""
        return next(number for number in self.numbers if number.name == name)

    def keys(self, detector: int = 0) -> dict[str, tuple[float, ...]]:
        """Values of the keys of a parameter file that the fit has found, in the order of a file."""
        d = self.detectors[detector]
        ends = ("", f"[{detector + 1}]")
        fitted = {n.name.removesuffix(end) for n in self.numbers for end in ends if n.fitted and n.name.endswith(end)}
        out: dict[str, tuple[float, ...]] = {}
        if "Lsd" in fitted:
            out["Lsd"] = (d.lsd,)
        if fitted & {"BCy", "BCz"}:
            out["BC"] = (d.y_bc, d.z_bc)
        for name in ("tx", "ty", "tz", "p0", "p2"):
            if name in fitted:
                out[name] = (getattr(d, name),)
        if fitted & {"p1c", "p1s"}:
            out["p1"], out["p3"] = (d.p1,), (d.p3,)
        if "Wedge" in fitted:
            out["Wedge"] = (d.wedge,)
        if "Wavelength" in fitted and d.wavelength is not None:
            out["Wavelength"] = (d.wavelength,)
        return out
