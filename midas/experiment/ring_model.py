"""Points on powder rings as a function of the instrument's numbers (docs/theory/calibration.md#least-squares)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.rings import ring_strains
from midas._ext.numerics.elementwise import arcsin, arctan, arctan2, cos, hypot, sin, tan
from midas.experiment.angles import DEG2RAD, RAD2DEG, wrapped
from midas.experiment.detector import DetectorGeometry
from midas.experiment.panels import shifts_of, with_shifts

Array = NDArray[np.float64]

#: numbers of the instrument that rings may tell, in the order of the kernel's slopes, the wavelength behind them
INSTRUMENT = ("Lsd", "BCy", "BCz", "tx", "ty", "tz", "p0", "p1c", "p1s", "p2", "Wavelength")
#: numbers of a panel: shift (px) in y and z, turn (degrees)
OF_PANEL = ("dY", "dZ", "dTheta")
#: numbers that every image has its own of: beam centre, and how much farther than in the first the detector stood (µm)
OF_IMAGE = ("BCy", "BCz", "Travel")
#: attributes of the detector that have these numbers
ATTRIBUTES = {
    "Lsd": "lsd",
    "BCy": "y_bc",
    "BCz": "z_bc",
    "tx": "tx",
    "ty": "ty",
    "tz": "tz",
    "p0": "p0",
    "p2": "p2",
    "Wavelength": "wavelength",
}
_NO_PANELS = np.empty((0, 8))


@dataclass(frozen=True)
class RingPoints:
    """Where rings were seen; one row of every column per point.

    Parameters
    ----------
    y_px, z_px : (n,) float64, px, after the image transformation, before a panel's shift
    sigma : (n,) float64, of the place along the radius, px
    d_spacing : (n,) float64, of the point's ring, Å
    panel : (n,) int64, -1 beside the panels
    image : (n,) int64, which of several images taken at known distances from the first
    """

    y_px: Array
    z_px: Array
    sigma: Array
    d_spacing: Array
    panel: NDArray[np.int64]
    image: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        y_px: Array,
        z_px: Array,
        d_spacing: Array,
        sigma: Array | float = 0.0,
        panel: NDArray[np.int64] | None = None,
        image: NDArray[np.int64] | None = None,
    ) -> RingPoints:
        """With defaults: no panels, one image."""
        n = len(y_px)
        floats = [np.ascontiguousarray(a, np.float64) for a in (y_px, z_px, np.broadcast_to(sigma, n), d_spacing)]
        panels = np.full(n, -1, np.int64) if panel is None else np.ascontiguousarray(panel, np.int64)
        images = np.zeros(n, np.int64) if image is None else np.ascontiguousarray(image, np.int64)
        y, z, sigmas, d = floats
        return cls(y, z, sigmas, d, panels, images)

    def __len__(self) -> int:
        return len(self.y_px)


@dataclass(frozen=True)
class Setting:
    """An instrument: the detector in one or several images.

    Parameters
    ----------
    detector : of the first image
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    travel : (m,), µm, how much farther the detector stood in each image; 0 for the first
    centres : (m, 2), px, beam centre in each image
    """

    detector: DetectorGeometry
    panels: Array
    travel: Array
    centres: Array

    @classmethod
    def of(cls, detector: DetectorGeometry, panels: Array | None = None, travel: Sequence[float] = (0.0,)) -> Setting:
        """The same beam centre in all images."""
        centres = np.tile(np.array([detector.y_bc, detector.z_bc], np.float64), (len(travel), 1))
        return cls(detector, _NO_PANELS if panels is None else panels, np.asarray(travel, np.float64), centres)

    def detectors(self) -> list[DetectorGeometry]:
        """One per image."""
        return [
            replace(self.detector, lsd=self.detector.lsd + travel, y_bc=float(y), z_bc=float(z))
            for travel, (y, z) in zip(self.travel, self.centres, strict=True)
        ]

    def value(self, name: str) -> float:
        """Of a number by its name."""
        detector, (kind, index) = self.detector, taken_apart(name)
        if kind in OF_PANEL:
            return float(shifts_of(self.panels)[index, OF_PANEL.index(kind)])
        if kind == "Travel":
            return float(self.travel[index])
        if kind in ("BCy", "BCz"):
            return float(self.centres[index, int(kind == "BCz")])
        if kind == "p1c":
            return detector.p1 * float(cos(DEG2RAD * detector.p3))
        if kind == "p1s":
            return detector.p1 * float(sin(DEG2RAD * detector.p3))
        value = getattr(detector, ATTRIBUTES[kind])
        return np.nan if value is None else float(value)

    def moved(self, values: dict[str, float]) -> Setting:
        """With other numbers; p1 is never negative, p3 in (-180, 180]."""
        shifts, centres, travel, found = shifts_of(self.panels), self.centres.copy(), self.travel.copy(), {}
        for name, value in values.items():
            kind, index = taken_apart(name)
            if kind in OF_PANEL:
                shifts[index, OF_PANEL.index(kind)] = value
            elif kind == "Travel":
                travel[index] = value
            elif kind in ("BCy", "BCz"):
                centres[index, int(kind == "BCz")] = value
            elif kind in ATTRIBUTES:
                found[ATTRIBUTES[kind]] = float(value)
        if {"p1c", "p1s"} & values.keys():
            c, s = (values.get(name, self.value(name)) for name in ("p1c", "p1s"))
            found |= {"p1": float(hypot(c, s)), "p3": -float(wrapped(-RAD2DEG * arctan2(s, c)))}
        found |= {"y_bc": float(centres[0, 0]), "z_bc": float(centres[0, 1])}
        detector = replace(self.detector, **found)  # type: ignore[arg-type]  # the bools are not among them
        panels = with_shifts(self.panels, shifts)
        return replace(self, detector=detector, panels=panels, travel=travel, centres=centres)


def taken_apart(name: str) -> tuple[str, int]:
    """Kind of a number, and which panel or image it belongs to: ``dY12`` is ("dY", 12), ``BCy`` ("BCy", 0)."""
    for kind in (*OF_PANEL, *OF_IMAGE):
        if name.startswith(kind) and name[len(kind) :].isdigit():
            return kind, int(name[len(kind) :])
    return name, 0


class RingModel:
    """Strains of points against their rings, over their expected size, as a function of the free numbers.

    Parameters
    ----------
    points : what was seen
    setting : the instrument; numbers that are not free stay as they are here
    names : free numbers, in the order of the variables
    floor : px, systematic error of a point beside its sigma
    """

    def __init__(self, points: RingPoints, setting: Setting, names: Sequence[str], floor: float = 0.0) -> None:
        self.points = points
        self.setting = setting
        self.names = tuple(names)
        detectors = setting.detectors()
        lsd = np.array([detector.lsd for detector in detectors])[points.image]
        size = hypot(points.sigma, floor) * setting.detector.px
        self.sigma_strain = size / (lsd * self._tangents(setting))

    def start(self) -> Array:
        """The variables of the setting."""
        return np.array([self.setting.value(name) for name in self.names], np.float64)

    def at(self, x: Array) -> Setting:
        """The instrument of the variables."""
        return self.setting.moved(dict(zip(self.names, map(float, x), strict=True)))

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Residuals (n,) and Jacobian (n, f)."""
        strain, slopes = self.strains(self.at(x))
        return strain / self.sigma_strain, slopes / self.sigma_strain[:, None]

    def strains(self, setting: Setting) -> tuple[Array, Array]:
        """R / (lsd tan two_theta) - 1 of the points, and its slopes by the free numbers."""
        points, tangents = self.points, self._tangents(setting)
        packed = np.array([detector.packed() for detector in setting.detectors()])
        columns = (points.y_px, points.z_px, tangents, points.image, points.panel)
        strain, slopes = ring_strains(*columns, packed, setting.panels)
        jacobian = np.zeros((len(points), len(self.names)))
        for column, name in enumerate(self.names):
            kind, index = taken_apart(name)
            if kind == "Wavelength":
                jacobian[:, column] = self._by_wavelength(setting, strain, tangents)
            elif kind in OF_PANEL:
                rows = points.panel == index
                jacobian[rows, column] = slopes[rows, len(INSTRUMENT) - 1 + OF_PANEL.index(kind)]
            else:
                rows = points.image == index if kind in OF_IMAGE else slice(None)
                jacobian[rows, column] = slopes[rows, INSTRUMENT.index("Lsd" if kind == "Travel" else kind)]
        return strain, jacobian

    def _tangents(self, setting: Setting) -> Array:
        sine = setting.detector.known_wavelength() / (2.0 * self.points.d_spacing)
        return np.asarray(tan(2.0 * arcsin(np.where(sine < 1.0, sine, np.nan))), np.float64)

    def _by_wavelength(self, setting: Setting, strain: Array, tangents: Array) -> Array:
        """Of the strain, through the ring: t = tan two_theta grows by 2 tan theta / (lambda cos² two_theta)."""
        wavelength = setting.detector.known_wavelength()
        theta = 0.5 * arctan(tangents)
        return np.asarray(-(1.0 + strain) * 2.0 * tan(theta) * (1.0 + tangents**2) / (wavelength * tangents))
