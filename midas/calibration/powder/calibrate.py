"""From the image of a powder to the geometry: the order of work (docs/theory/calibration.md#order-of-work)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import tan
from midas.calibration.powder.extract import Extraction, extract_all
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.points import Points
from midas.calibration.powder.profile import RingShape
from midas.calibration.powder.result import FIXED, OK, ON_BOUND, UNDETERMINED, Calibration
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.settings import CalibrationSettings
from midas.calibration.powder.start import better_start, find_start
from midas.calibration.powder.verdict import (
    Evidence,
    check_points,
    check_result,
    check_rings,
    check_saturation,
    warnings_of,
)
from midas.experiment.detector import DetectorGeometry
from midas.experiment.noise import robust_spread
from midas.experiment.ring_fit import GEOMETRY, RingFitSettings, RingSolution, solve
from midas.experiment.ring_gauge import solve_anchored
from midas.experiment.ring_identify import identify
from midas.experiment.ring_model import INSTRUMENT, OF_IMAGE, OF_PANEL, RingPoints, Setting
from midas.runtime.errors import StageError

Array = NDArray[np.float64]
logger = logging.getLogger(__name__)

#: px, half of the window for a rough start, and passes with it
WIDE, WIDE_PASSES = 20.0, 4
#: rounds of a pass whose points are not the last ones
ROUGH, FINE = 2, 10
#: passes at most with all numbers, and the change in sigmas that ends them
PASSES, UNCHANGED = 6, 0.1
#: what the first passes fit; before the distortion the number that is most like a distance
PLACEMENT = ("Lsd", "BCy", "BCz", "ty", "tz")
#: numbers, and whether panels are fitted with them, one after the other
STEPS = (
    (PLACEMENT, False),
    ((*PLACEMENT, "p2"), False),
    (GEOMETRY, False),
    (GEOMETRY, True),
)
#: a geometry is wrong when its rings are this far from the points (robust, px) and by this part of their radius, or
#: when it finds fewer than this part of the peaks it looks for
ASTRAY_PX, ASTRAY_STRAIN, ASTRAY_FOUND = 0.7, 400e-6, 0.3


@dataclass(frozen=True)
class Series:
    """Images of one powder at known distances from each other.

    Parameters
    ----------
    images : in the order of `travel`
    travel : µm, how much farther the detector stood in each; 0 for the first
    sigma_travel : µm, how well that is known
    """

    images: Sequence[PowderImage]
    travel: Sequence[float] = (0.0,)
    sigma_travel: float = 0.0


@dataclass(frozen=True)
class _Pass:
    """Points of all images, and what else was seen."""

    points: Points
    image: NDArray[np.int64]
    extractions: list[Extraction]
    seen: RingPoints


def calibrate(
    image: PowderImage | Series, rings: Rings, start: DetectorGeometry, settings: CalibrationSettings
) -> Calibration:
    """The geometry in which the rings of an image are where they should be.

    Parameters
    ----------
    image : one, or several at known distances
    rings : of the calibrant
    start : a rough geometry with wavelength, pixel size and `rho_d`; with `settings.search` its distance and beam
        centre may be NaN, and those that are not only help the search. A start that turns out to be wrong is replaced
        by one from the image. NaN as `rho_d` stands for the farthest corner of the detector
    settings : what is fitted, and how

    Raises
    ------
    StageError : when the image does not tell the geometry, with the reason
    """
    series = image if isinstance(image, Series) else Series([image])
    work = _Work(series, rings, settings)
    setting = work.placed(start)
    found, last = work.refined(setting)
    if settings.anchor is not None and found.shifts.size:
        found = solve_anchored(last.seen, found, work.fit_settings(found.names, True), settings.anchor)
    return work.result(start, found, last)


class _Work:
    """One calibration: passes over the images, each with a fit to its points."""

    def __init__(self, series: Series, rings: Rings, settings: CalibrationSettings) -> None:
        self.series, self.rings, self.settings = series, rings, settings
        self.shapes: list[RingShape | None] = [None] * len(series.images)
        self.middle: dict[str, float] = {}

    def fit_settings(self, names: Sequence[str], panels: bool) -> RingFitSettings:
        """For a fit of those of the names that are free."""
        wanted = self.settings.fit(tuple(names), panels)
        return replace(wanted, middle=self.middle, sigma_travel=self.series.sigma_travel)

    def look(self, setting: Setting, half_width: float, rounds: int) -> _Pass:
        """Points on all images, with the geometry as it is."""
        found = []
        for image, detector, shape in zip(self.series.images, setting.detectors(), self.shapes, strict=True):
            wanted = replace(self.settings.extraction(half_width, rounds), shape=shape)
            found.append(extract_all(image, detector, self.rings, setting.panels, wanted))
        self.shapes = [one.shape for one in found]
        points = Points.joined([one.points for one in found])
        image_of = np.repeat(np.arange(len(found)), [len(one.points) for one in found])
        if self.settings.fit_panels and len(setting.panels):
            # where a panel with hardly a point is nobody knows, and its points would pull the rest to where it is not
            counts = np.bincount(points.panel, minlength=len(setting.panels))
            told = counts[points.panel] >= self.settings.fewest_points
            points, image_of = points.take(told), image_of[told]
        spacing = self.rings.d_spacing[points.ring]
        seen = RingPoints.of(points.y_px, points.z_px, spacing, points.sigma, points.panel, image_of)
        return _Pass(points, image_of, found, seen)

    def placed(self, start: DetectorGeometry) -> Setting:
        """Lsd, beam centre and tilts from the start, or from the image alone where that leads nowhere."""
        said = ""
        if not self.settings.search:
            setting, wrong = self._placed(start)
            if setting is not None and not wrong:
                return self._or_better(setting, start)
            said = f"with the start as given, {wrong}; without it, "
            logger.info("start       %s; looking for another", wrong)
        try:
            own = find_start(self.series.images[0], self.rings, start.px, start.known_wavelength(), start)
        except StageError as error:
            if not said:
                raise
            raise StageError(said + error.reason) from error
        there = replace(start, lsd=own.lsd, y_bc=own.y_bc, z_bc=own.z_bc)
        tilts = {name: getattr(own, name) for name in ("ty", "tz") if name in self.settings.free}
        setting, wrong = self._placed(replace(there, **tilts))
        if setting is None or wrong:
            raise StageError(f"{said}{wrong}: check the energy, the pixel size, and which powder it is")
        return setting

    def _or_better(self, setting: Setting, start: DetectorGeometry) -> Setting:
        """The same, unless the image shows that its rings are others than those that the start took them for."""
        other = better_start(self.series.images[0], self.rings, setting.detector)
        if other is None:
            return setting
        logger.info("start       fits, but Lsd %.0f um fits better", other.lsd)
        tried, wrong = self._placed(replace(setting.detector, lsd=other.lsd, rho_d=start.rho_d))
        return setting if tried is None or wrong else tried

    def _placed(self, start: DetectorGeometry) -> tuple[Setting | None, str]:
        """The rough geometry from one start, and what is wrong with it."""
        self.shapes = [None] * len(self.series.images)
        image = self.series.images[0]
        setting = Setting.of(_with_rho_d(start, image), self.settings.panels, self.series.travel)
        self.middle = self._middle(setting)
        fit = self.fit_settings(PLACEMENT, False)
        problem = ""
        for number in range(WIDE_PASSES):
            check_rings(self.rings, setting.detector)
            seen = self.look(setting, WIDE, ROUGH)
            check_saturation(self._evidence(seen))
            if number == 0:  # what smears out in a wrong geometry is not the width of a ring
                self.shapes = [None] * len(self.series.images)
            if len(seen.points) <= 3 * len(fit.free):
                return None, f"only {len(seen.points)} bins show a ring where it should be"
            found = solve(seen.seen, setting, fit)
            moved, setting = _change(found, setting), found.setting
            problem = _astray(found, seen, self.rings)
            logger.info("wide        %s", _line(found, seen.points))
            if moved < 3.0 and not problem:
                break
        return replace(setting, detector=_with_rho_d(replace(setting.detector, rho_d=start.rho_d), image)), problem

    def _middle(self, setting: Setting) -> dict[str, float]:
        """Of the bounds, whose reach does not grow with every pass."""
        images, panels = range(len(self.series.images)), range(len(setting.panels))
        of_images = [f"{kind}{image}" for image in images[1:] for kind in OF_IMAGE]
        of_panels = [f"{kind}{panel}" for panel in panels for kind in OF_PANEL]
        return {name: setting.value(name) for name in (*INSTRUMENT, *of_images, *of_panels)}

    def refined(self, setting: Setting) -> tuple[RingSolution, _Pass]:
        """All numbers that are free, from a rough geometry."""
        begin = setting
        seen = self.look(setting, self.settings.half_width, ROUGH)
        check_points(self._evidence(seen))
        for names, panels in STEPS:
            fit = self.fit_settings(names, panels)
            if fit.free and len(seen.points) > 2 * len(fit.free):
                setting = solve(seen.seen, setting, fit).setting
        told: dict[str, str] = {}
        for number in range(PASSES):
            seen = self.look(setting, self.settings.half_width, FINE if number else ROUGH)
            check_points(self._evidence(seen))
            found = self._identified(seen, setting, begin, told)
            moved, setting = _change(found, setting), found.setting
            logger.info("all numbers %s", _line(found, seen.points))
            if number and moved < UNCHANGED:
                break
        return replace(found, undetermined=told), seen

    def _identified(self, seen: _Pass, setting: Setting, begin: Setting, told: dict[str, str]) -> RingSolution:
        """What the points tell; what they do not is what it was at the beginning, and is added to `told`."""
        while True:
            setting = setting.moved({name: begin.value(name) for name in told})
            fit = self.fit_settings([name for name in INSTRUMENT if name not in told], True)
            found = identify(seen.seen, setting, fit, self.settings.demanded)
            if not found.undetermined:
                return found
            told |= found.undetermined

    def _evidence(self, seen: _Pass) -> Evidence:
        return Evidence(seen.points, seen.extractions, self.rings, self.settings.panels)

    def result(self, start: DetectorGeometry, found: RingSolution, last: _Pass) -> Calibration:
        """In the words of the user."""
        settings = self.settings
        begin = Setting.of(start, settings.panels, self.series.travel)
        panels = found.shifts
        of_panels = [f"{kind}{panel}" for panel in range(len(panels)) for kind in OF_PANEL]
        of_images = [n for n in found.names if n[-1].isdigit() and n.startswith(OF_IMAGE)]
        names = (*INSTRUMENT, *of_images, *of_panels)
        result = Calibration(
            detector=found.setting.detector,
            panels=panels,
            names=names,
            value={name: found.setting.value(name) for name in names},
            start={name: begin.value(name) for name in names},
            sigma={name: found.sigma_of(name) for name in names},
            verdict={name: _verdict(name, found) for name in names},
            correlation=found.correlation,
            free=found.names,
            points=last.points,
            rings=self.rings,
            strain=found.strain,
            sigma_strain=found.sigma_strain,
            outlier=outliers(found.strain, settings.outlier_factor, settings.outlier_rounds),
            scale=found.scale,
            condition=found.condition,
            image=last.image,
        )
        check_result(result)
        return replace(result, warnings=warnings_of(result, self._evidence(last), found.undetermined))


def outliers(strain: Array, factor: float, rounds: int) -> NDArray[np.bool_]:
    """Points beyond a factor times the mean size of the strain of the others."""
    size = np.abs(strain)
    beyond = np.zeros(len(size), bool)
    for _ in range(rounds if factor > 0 else 0):
        if beyond.all():
            break
        beyond = size > factor * size[~beyond].mean()
    return beyond


def _with_rho_d(detector: DetectorGeometry, image: PowderImage) -> DetectorGeometry:
    """With the distance of the farthest corner, in whole mm, where there is none."""
    if np.isfinite(detector.rho_d):
        return detector
    reach = image.farthest(detector.y_bc, detector.z_bc)
    return replace(detector, rho_d=float(np.ceil(reach * detector.px / 1000.0) * 1000.0))


def _change(found: RingSolution, before: Setting) -> float:
    """The largest of the changes, in its sigma."""
    changes = [
        abs(value - before.value(name)) / max(sigma, 1e-300)
        for name, value, sigma in zip(found.names, found.value, found.sigma, strict=True)
    ]
    return max(changes, default=0.0)


def _astray(found: RingSolution, seen: _Pass, rings: Rings) -> str:
    """Why the rings of a geometry are not those of the image; empty when they are."""
    looked_for = sum(int(one.looked_for.sum()) for one in seen.extractions)
    significant = sum(int(one.significant.sum()) for one in seen.extractions)
    strain = robust_spread(found.strain, 0.0)
    radius = tan(np.radians(rings.two_theta(found.setting.detector.known_wavelength())))[seen.points.ring]
    radius *= found.setting.detector.lsd / found.setting.detector.px
    distance = robust_spread(found.strain * radius, 0.0)
    if significant < ASTRAY_FOUND * looked_for:
        return f"{significant} of {looked_for} bins show a ring where it should be"
    if distance > ASTRAY_PX and strain > ASTRAY_STRAIN:
        return f"rings are {distance:.1f} px from where they should be"
    return ""


def _verdict(name: str, found: RingSolution) -> str:
    if name in found.undetermined:
        return UNDETERMINED
    if name in found.on_bound:
        return ON_BOUND
    return OK if name in found.names else FIXED


def _line(found: RingSolution, points: Points) -> str:
    """Of the log."""
    rms = robust_spread(found.strain, 0.0) * 1e6
    return (
        f"{len(np.unique(points.ring))} rings, {len(points)} points, {rms:.1f} microstrain robust, "
        f"Lsd {found.setting.detector.lsd:.1f}"
    )
