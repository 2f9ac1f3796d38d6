"""What a calibration comes to in a few numbers (docs/theory/calibration.md#statistics)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arctan, arctan2, cos, hypot, sin, tan
from midas._ext.physics.detector import shifted_pixels
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.verdict import mean_of_rings, robust_rms
from midas.experiment.detector import DetectorGeometry
from midas.experiment.ring_model import ATTRIBUTES, OF_PANEL, taken_apart

Array = NDArray[np.float64]

#: the unit of strains in every table
MICRO = 1e6
#: of an instrument, as a parameter file has them
LINES = ("Lsd", "BC", "tx", "ty", "tz", "p0", "p1", "p2", "p3")


@dataclass(frozen=True)
class StrainStatistics:
    """Of the strains of the points, 10⁻⁶.

    Parameters
    ----------
    mean ... largest : of the absolute values of the points that are no outliers
    points : how many these are
    untrimmed : mean of the absolute values of all points
    robust_rms : 1.4826 times the median of all absolute values
    """

    mean: float
    std: float
    median: float
    q25: float
    q75: float
    smallest: float
    largest: float
    points: int
    untrimmed: float
    robust_rms: float


@dataclass(frozen=True)
class NumberRow:
    """A number of the instrument: `change` is that from the start; NaN where there is no sigma or no start."""

    name: str
    value: float
    sigma: float
    change: float
    verdict: str


@dataclass(frozen=True)
class RingRow:
    """One ring: `mean`, its uncertainty and `rms` are of the signed strains, 10⁻⁶; NaN without points."""

    number: int
    d_spacing: float
    two_theta: float
    points: int
    mean: float
    sigma: float
    rms: float


@dataclass(frozen=True)
class PanelRow:
    """One panel: shifts and their uncertainties (px, px, degrees), strains as in `RingRow`."""

    number: int
    points: int
    shift: tuple[float, float, float]
    shift_sigma: tuple[float, float, float]
    mean: float
    sigma: float
    rms: float


def statistics(calibration: Calibration) -> StrainStatistics:
    """Statistics of the strains."""
    size = np.abs(calibration.strain) * MICRO
    kept = size[~calibration.outlier]
    if not len(kept):
        kept = size
    q25, median, q75 = np.percentile(kept, [25, 50, 75])
    return StrainStatistics(
        mean=float(kept.mean()),
        std=float(kept.std()),
        median=float(median),
        q25=float(q25),
        q75=float(q75),
        smallest=float(kept.min()),
        largest=float(kept.max()),
        points=len(kept),
        untrimmed=float(size.mean()),
        robust_rms=robust_rms(calibration),
    )


def number_rows(calibration: Calibration) -> Iterator[NumberRow]:
    """Every number but those of the panels."""
    for name in calibration.names:
        if taken_apart(name)[0] not in OF_PANEL:
            value, start = calibration.value[name], calibration.start.get(name, np.nan)
            yield NumberRow(name, value, calibration.sigma.get(name, np.nan), value - start, calibration.verdict[name])


def ring_rows(calibration: Calibration) -> Iterator[RingRow]:
    """Every ring that lies within RhoD or has points; points far off count less in its mean, as in the fit."""
    means = mean_of_rings(calibration)
    detector, rings = calibration.detector, calibration.rings
    two_theta = rings.two_theta(detector.known_wavelength())
    farthest = np.degrees(arctan(detector.rho_d / detector.lsd))
    for row, number in enumerate(rings.number.tolist()):
        own = calibration.strain[calibration.points.ring == row]
        if len(own) or two_theta[row] <= farthest:
            mean, sigma, _ = means.get(row, (np.nan, np.nan, 0))
            numbers = (mean * MICRO, sigma * MICRO, _scatter(own)[2])
            yield RingRow(number, float(rings.d_spacing[row]), float(two_theta[row]), len(own), *numbers)


def panel_rows(calibration: Calibration) -> Iterator[PanelRow]:
    """Every panel."""
    for number, shift in enumerate(calibration.panels):
        own = calibration.strain[calibration.points.panel == number]
        sigma = [calibration.sigma.get(f"{name}{number}", np.nan) for name in OF_PANEL]
        yield PanelRow(number, len(own), tuple(shift.tolist()), (sigma[0], sigma[1], sigma[2]), *_scatter(own))


def _scatter(strain: Array) -> tuple[float, float, float]:
    """Mean, its uncertainty by the scatter, and rms of strains, 10⁻⁶."""
    if not len(strain):
        return (np.nan, np.nan, np.nan)
    sigma = strain.std(ddof=1) / np.sqrt(len(strain)) if len(strain) > 1 else np.nan
    return float(strain.mean() * MICRO), float(sigma * MICRO), float(np.sqrt(np.mean(strain**2)) * MICRO)


def instrument_at(detector: DetectorGeometry, values: Mapping[str, float]) -> DetectorGeometry:
    """The detector with other numbers, which have the names of `Calibration.names`; NaN leaves one as it is."""
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    changes: dict[str, Any] = {attribute: values[name] for name, attribute in ATTRIBUTES.items() if name in values}
    if "p1c" in values and "p1s" in values:
        changes["p1"] = float(hypot(values["p1c"], values["p1s"]))
        changes["p3"] = float(np.degrees(arctan2(values["p1s"], values["p1c"])))
    return replace(detector, **changes)


def as_lines(detector: DetectorGeometry) -> dict[str, tuple[float, ...]]:
    """The numbers of an instrument by the keys of a parameter file, in their order there."""
    # 0.0 makes -0.0 plain
    single = {name: (float(getattr(detector, name.lower())) + 0.0,) for name in LINES if name != "BC"}
    return {name: (float(detector.y_bc), float(detector.z_bc)) if name == "BC" else single[name] for name in LINES}


def sigma_lines(calibration: Calibration) -> dict[str, tuple[float, ...]]:
    """Uncertainties by the same keys, NaN where a number was not free; those of p1 and p3 by their two amplitudes."""
    sigma = calibration.sigma
    found: dict[str, tuple[float, ...]] = {
        name: (sigma.get(name, np.nan),) for name in ("Lsd", "tx", "ty", "tz", "p0", "p2", "Wavelength")
    }
    found["BC"] = (sigma.get("BCy", np.nan), sigma.get("BCz", np.nan))
    found["p1"], found["p3"] = ((value,) for value in _polar_sigma(calibration))
    return found


def _polar_sigma(calibration: Calibration) -> tuple[float, float]:
    """Of p1 and p3 (degrees), from the covariance of p1 cos p3 and p1 sin p3."""
    free = calibration.free
    if not {"p1c", "p1s"} <= set(free):
        return np.nan, np.nan
    i, j = free.index("p1c"), free.index("p1s")
    a, b = calibration.sigma["p1c"], calibration.sigma["p1s"]
    off = calibration.correlation[i, j] * a * b
    covariance = np.array([[a * a, off], [off, b * b]])
    amplitude = calibration.detector.p1
    angle = np.radians(calibration.detector.p3)
    along = np.array([cos(angle), sin(angle)])
    across = np.array([-sin(angle), cos(angle)])
    sigma = float(np.sqrt(along @ covariance @ along))
    turn = np.degrees(np.sqrt(across @ covariance @ across) / amplitude) if amplitude > 0 else np.inf
    return sigma, float(min(turn, 180.0))


def of_image(calibration: Calibration, number: int, travel: float) -> Calibration:
    """The part of a calibration of several images that one of them is about.

    Parameters
    ----------
    travel : µm, how much farther the detector stood than in the first image
    """
    if not len(calibration.image):
        return calibration
    value, own = calibration.value, calibration.image == number
    centre = {axis: value.get(f"BC{axis}{number}", value[f"BC{axis}"]) for axis in "yz"}
    lsd = float(calibration.detector.lsd) + value.get(f"Travel{number}", travel)
    detector = replace(calibration.detector, lsd=lsd, y_bc=centre["y"], z_bc=centre["z"])
    start = {**calibration.start, "Lsd": calibration.start["Lsd"] + travel}
    return replace(
        calibration,
        detector=detector,
        start=start,
        points=calibration.points.take(own),
        image=calibration.image[own],
        **{name: getattr(calibration, name)[own] for name in ("strain", "sigma_strain", "outlier")},
    )


@dataclass(frozen=True)
class Places:
    """Where the points of a calibration lie.

    Parameters
    ----------
    y_px, z_px : px, after the correction of the panel
    eta, two_theta : degrees, in a geometry
    radius : µm, on the plane without tilt and distortion
    strain : radius / (Lsd tan two_theta of the ring) - 1
    """

    y_px: Array
    z_px: Array
    eta: Array
    two_theta: Array
    radius: Array
    strain: Array


def places(calibration: Calibration, detector: DetectorGeometry, panels: Array) -> Places:
    """The points in a geometry.

    Parameters
    ----------
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    """
    points = calibration.points
    moved, _ = shifted_pixels(points.y_px, points.z_px, panels)
    two_theta, eta, radius = detector.ideal(*moved)
    return Places(moved[0], moved[1], eta, two_theta, radius, strains_in(calibration, detector, radius))


def strains_in(calibration: Calibration, detector: DetectorGeometry, radius: Array) -> Array:
    """Strain of the points in a geometry; `radius` as in `Places`."""
    return np.asarray(radius / (detector.lsd * tan(np.radians(calibration.two_theta(detector)))) - 1, np.float64)
