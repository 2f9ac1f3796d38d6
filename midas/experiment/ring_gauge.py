"""Shifts of panels with one panel held instead of their mean (docs/theory/calibration.md#panels)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arcsin, arctan2, cos, sin
from midas.experiment.angles import DEG2RAD, RAD2DEG
from midas.experiment.panels import shifts_of, with_shifts
from midas.experiment.ring_fit import RingFitSettings, RingSolution, problem, solution
from midas.experiment.ring_model import OF_PANEL, RingModel, RingPoints, Setting, taken_apart
from midas.experiment.robust_fit import downhill, robust_fit
from midas.runtime.errors import StageError

Array = NDArray[np.float64]


def solve_anchored(points: RingPoints, found: RingSolution, settings: RingFitSettings, anchor: int) -> RingSolution:
    """The same instrument with a panel that has neither shift nor turn: moved as a whole, and fitted again.

    Parameters
    ----------
    points, settings : those of `found`
    found : with the mean of the shifts held
    anchor : the panel

    Raises
    ------
    StageError : when that panel has too few points to stay
    """
    names = [name for name in found.names if not (taken_apart(name)[0] in OF_PANEL and taken_apart(name)[1] == anchor)]
    if len(names) == len(found.names):
        raise StageError(f"panel {anchor} has too few points on rings to be the one that stays", key="FixPanelID")
    moved = as_a_whole(found.setting, anchor, frozenset(found.names))
    model, limits = problem(points, found.setting, settings)
    pull = downhill(*model(found.value))
    kept = np.array([found.names.index(name) for name in names])
    before, after = (np.array([setting.value(name) for name in names]) for setting in (found.setting, moved))
    # The priors balance the pull of the points as before; they would turn all panels if only the held mean forbade it.
    width = limits.prior_sigma[kept]
    priors = after - np.where(np.isfinite(width), width, 0.0) ** 2 * pull[kept]
    limits = replace(
        limits,
        lower=limits.lower[kept] + (after - before),
        upper=limits.upper[kept] + (after - before),
        prior=priors,
        prior_sigma=width,
        constraints=np.empty((0, len(names))),
        nuisance=None if limits.nuisance is None else limits.nuisance[kept],
    )
    model = RingModel(points, moved, names, settings.floor)
    return replace(solution(model, robust_fit(model, after, limits)), undetermined=found.undetermined)


def as_a_whole(setting: Setting, anchor: int, free: frozenset[str]) -> Setting:
    """All panels moved so that the anchor is where it should be; beam centre and tilts follow, as far as they are free.

    The pixels keep their places in the laboratory but for a turn about the beam, which rings cannot see; only the
    two-fold distortion can, a little.
    """
    panels, shifts = setting.panels, shifts_of(setting.panels)
    middle = 0.5 * (panels[:, [0, 2]] + panels[:, [1, 3]])
    turn = -shifts[anchor, 2]
    c, s = cos(DEG2RAD * turn), sin(DEG2RAD * turn)
    rotation = np.array([[c, -s], [s, c]])
    pivot = middle[anchor] + shifts[anchor, :2]
    placed = (middle + shifts[:, :2] - pivot) @ rotation.T + middle[anchor]
    new = np.column_stack([placed - middle, shifts[:, 2] + turn])
    moved = (setting.centres - pivot) @ rotation.T + middle[anchor]
    centres = np.where([name in free for name in ("BCy", "BCz")], moved, setting.centres)
    detector = replace(setting.detector, y_bc=float(centres[0, 0]), z_bc=float(centres[0, 1]))
    setting = replace(setting, detector=detector, centres=centres, panels=with_shifts(panels, new))
    return setting.moved({name: value for name, value in _turned_about_beam(setting, turn).items() if name in free})


def _turned_about_beam(setting: Setting, turn: float) -> dict[str, float]:
    """Tilts and phase of the four-fold distortion that undo a turn (degrees) of the pixels within the detector."""
    detector = setting.detector
    old = _rotation(detector.tx, detector.ty, detector.tz) @ _rotation(-turn, 0.0, 0.0)
    ty = RAD2DEG * arcsin(old[0, 2])
    tz = RAD2DEG * arctan2(-old[0, 1], old[0, 0])
    about_beam = detector.tx - RAD2DEG * arctan2(-old[1, 2], old[2, 2])
    phase = DEG2RAD * (detector.p3 + 4.0 * about_beam)
    return {"ty": ty, "tz": tz, "p1c": detector.p1 * cos(phase), "p1s": detector.p1 * sin(phase)}


def _rotation(tx: float, ty: float, tz: float) -> Array:
    """Rx(tx) Ry(ty) Rz(tz), degrees."""
    (cx, cy, cz), (sx, sy, sz) = (f(DEG2RAD * np.array([tx, ty, tz])) for f in (cos, sin))
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    return np.asarray(about_x @ np.array([[cy * cz, -cy * sz, sy], [sz, cz, 0.0], [-sy * cz, sy * sz, cy]]))
