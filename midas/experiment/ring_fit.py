"""Geometry from points on rings: the fit, and what the points cannot tell.

See docs/theory/calibration.md#least-squares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from midas.experiment.panels import shifts_of, with_shifts
from midas.experiment.ring_model import OF_PANEL, RingModel, RingPoints, Setting, taken_apart
from midas.experiment.robust_fit import Limits, RobustFit, robust_fit
from midas.runtime.errors import StageError

Array = NDArray[np.float64]

#: what is fitted of the instrument unless somebody wishes otherwise
GEOMETRY = ("Lsd", "BCy", "BCz", "ty", "tz", "p0", "p1c", "p1s", "p2")
#: px, systematic error of a point
FLOOR = 0.005
#: widths of the priors on a panel's dY, dZ (px) and dTheta (degrees)
PANEL_PRIOR = {"dY": 0.5, "dZ": 0.5, "dTheta": 0.05}
#: a panel has three numbers; a few points more say little beside the priors, but a shift of zero would be worse
FEWEST_POINTS_OF_PANEL = 3


@dataclass(frozen=True)
class RingFitSettings:
    """What is fitted and how far it may go.

    Parameters
    ----------
    free : numbers of the instrument, as in `midas.experiment.ring_model.INSTRUMENT`
    tolerances : half widths of the bounds about the start by name, of a panel's numbers by dY, dZ, dTheta; without one
        there is no bound, and 0 holds a number
    middle : of the bounds and of what is known of the travel, by full name, where that is not the start of the fit
    panels : whether shifts of the panels are fitted
    turns : also their turns
    fewest_points : of a panel that is fitted; others get no shift
    floor : px, systematic error of a point
    sigma_travel : µm, how well the distances between several images are known; 0: exactly
    """

    free: tuple[str, ...] = GEOMETRY
    tolerances: Mapping[str, float] = field(default_factory=dict)
    middle: Mapping[str, float] = field(default_factory=dict)
    panels: bool = False
    turns: bool = True
    fewest_points: int = FEWEST_POINTS_OF_PANEL
    floor: float = FLOOR
    sigma_travel: float = 0.0


@dataclass(frozen=True)
class RingSolution:
    """An instrument and how well the points know it.

    Parameters
    ----------
    setting : the fitted instrument; `setting.detector` is that of the first image
    names : free numbers, those of panels behind the others
    value, sigma : (f,), sigma as the points scatter
    correlation : (f, f)
    on_bound : names that ended on a bound
    strain, sigma_strain : (n,), of each point, found and expected
    weight : (n,), between 0 and 1: how much of a point counts
    scale : robust width of strain / sigma_strain
    condition : of the normal matrix with columns of unit length
    inflation : (f,), how much larger the variance of each number is for the others being free
    steps, converged : of the fit
    undetermined : numbers that were to be fitted and stayed as they were: why
    """

    setting: Setting
    names: tuple[str, ...]
    value: Array
    sigma: Array
    correlation: Array
    on_bound: tuple[str, ...]
    strain: Array
    sigma_strain: Array
    weight: Array
    scale: float
    condition: float
    inflation: Array
    steps: int
    converged: bool
    undetermined: dict[str, str] = field(default_factory=dict)

    @property
    def shifts(self) -> Array:
        """(p, 3), of the panels: px, px, degrees."""
        return shifts_of(self.setting.panels)

    def sigma_of(self, name: str) -> float:
        """NaN for a number that was not free."""
        return float(self.sigma[self.names.index(name)]) if name in self.names else np.nan


def solve(points: RingPoints, setting: Setting, settings: RingFitSettings | None = None) -> RingSolution:
    """The instrument whose rings are nearest to the points, with all free numbers at once.

    Parameters
    ----------
    points : what was seen
    setting : start

    Raises
    ------
    StageError : when there are fewer points than numbers
    """
    model, limits = problem(points, setting, settings or RingFitSettings())
    return solution(model, robust_fit(model, model.start(), limits))


def problem(points: RingPoints, setting: Setting, settings: RingFitSettings) -> tuple[RingModel, Limits]:
    """What `solve` minimises, and where it looks."""
    setting = _start(points, setting, settings)
    model = RingModel(points, setting, _names(points, setting, settings), settings.floor)
    if len(points) <= len(model.names):
        raise StageError(f"{len(points)} points on rings are too few for {len(model.names)} numbers; free fewer")
    return model, _limits(model, settings)


def used_panels(points: RingPoints, setting: Setting, settings: RingFitSettings) -> list[int]:
    """Panels that have enough points."""
    counts = np.bincount(points.panel[points.panel >= 0], minlength=len(setting.panels))
    return [int(panel) for panel in np.flatnonzero(counts >= settings.fewest_points)]


def _start(points: RingPoints, setting: Setting, settings: RingFitSettings) -> Setting:
    """Without the shifts of panels that cannot be fitted, and with the mean of the others in the beam centre."""
    if not settings.panels:
        return setting
    shifts, used = np.zeros((len(setting.panels), 3)), used_panels(points, setting, settings)
    shifts[used] = shifts_of(setting.panels)[used]
    centres = setting.centres
    if used and {"BCy", "BCz"} <= set(settings.free):
        mean = shifts[used].mean(axis=0)
        shifts[used] -= mean
        centres = centres - mean[:2]
    detector = replace(setting.detector, y_bc=float(centres[0, 0]), z_bc=float(centres[0, 1]))
    return replace(setting, detector=detector, centres=centres, panels=with_shifts(setting.panels, shifts))


def _names(points: RingPoints, setting: Setting, settings: RingFitSettings) -> list[str]:
    names = [name for name in settings.free if settings.tolerances.get(name) != 0.0]
    several = [f"{name}{image}" for image in range(1, len(setting.travel)) for name in ("BCy", "BCz") if name in names]
    names += several
    if settings.sigma_travel > 0.0:
        names += [f"Travel{image}" for image in range(1, len(setting.travel))]
    if settings.panels:
        kinds = [
            kind for kind in OF_PANEL if (settings.turns or kind != "dTheta") and settings.tolerances.get(kind) != 0
        ]
        names += [f"{kind}{panel}" for panel in used_panels(points, setting, settings) for kind in kinds]
    return names


def _limits(model: RingModel, settings: RingFitSettings) -> Limits:
    """Bounds about their middle, priors of panels and travel, and the mean of the panels' shifts held."""
    start = np.array([settings.middle.get(name, value) for name, value in zip(model.names, model.start(), strict=True)])
    kinds = [taken_apart(name)[0] for name in model.names]
    reach = np.array([settings.tolerances.get(kind, np.inf) for kind in kinds])
    width = PANEL_PRIOR | {"Travel": settings.sigma_travel}
    prior = np.where([kind == "Travel" for kind in kinds], start, 0.0)
    sigma = np.array([width.get(kind, np.inf) for kind in kinds])
    rows = [[float(kind == of) for kind in kinds] for of in OF_PANEL if of in kinds]
    nuisance = np.array([kind in OF_PANEL for kind in kinds], bool)
    return Limits(start - reach, start + reach, prior, sigma, np.reshape(rows, (-1, len(start))), nuisance)


def solution(model: RingModel, fit: RobustFit) -> RingSolution:
    """In words of the instrument."""
    sigma = np.sqrt(np.diag(fit.covariance))
    return RingSolution(
        setting=model.at(fit.value),
        names=model.names,
        value=fit.value,
        sigma=sigma,
        correlation=fit.covariance / np.outer(sigma, sigma),
        on_bound=tuple(name for name, held in zip(model.names, fit.on_bound, strict=True) if held),
        strain=fit.residuals * model.sigma_strain,
        sigma_strain=model.sigma_strain,
        weight=fit.weights,
        scale=fit.scale,
        condition=fit.condition,
        inflation=fit.inflation,
        steps=fit.steps,
        converged=fit.converged,
    )
