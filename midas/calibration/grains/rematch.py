"""Spots for reflections, anew, once the geometry is known (docs/theory/geometry_from_grains.md#matching-again)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas._ext.numerics.elementwise import cos, hypot, sin
from midas.calibration.grains.case import Measurement
from midas.calibration.grains.observed import Spots
from midas.calibration.grains.state import AT, State, detector_of
from midas.experiment.angles import wrapped
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

#: limits in standard deviations, and least and most of them, px; in steps of omega
_SIGMAS, _LEAST, _MOST, _STEPS = 3.0, 1.0, 5.0, 1.5
#: spots that are looked at for a reflection
_NEAREST = 4


def rematched(measurement: Measurement, state: State, scales: Array, spots: Spots) -> Spots:
    """The spots of all grains, every reflection with the nearest spot of the whole table.

    Parameters
    ----------
    scales : (3, n) of `spots`, the assignment so far
    """
    parts = []
    for d, like in enumerate(measurement.detectors):
        on = spots.detector == d
        if not on.any():
            continue
        place = _SIGMAS * float(np.median(np.maximum(scales[0, on], scales[1, on]))) / like.px
        limit_px = min(max(place, _LEAST), _MOST)
        limit_omega = max(_STEPS * measurement.step, _SIGMAS * float(np.median(scales[2, on])))
        parts.append(_of_detector(measurement, state, d, limit_px, limit_omega))
    return Spots.joined(parts)


def _of_detector(measurement: Measurement, state: State, d: int, limit_px: float, limit_omega: float) -> Spots:
    table = measurement.tables[d]
    predicted = _predicted(measurement, state, d)
    y_px, z_px = table.y_px.copy(), table.z_px.copy()
    first = sum(measurement.panels[:d])
    shifted = table.panel >= 0
    y_px[shifted] += state.shifts[first + table.panel[shifted], 0]
    z_px[shifted] += state.shifts[first + table.panel[shifted], 1]
    found = _pairs(predicted, y_px, z_px, table, limit_px, limit_omega)
    reflection, spot = found
    chosen = table.take(spot)
    of = predicted.take(reflection)
    panel = np.where(chosen.panel >= 0, first + chosen.panel, -1)
    return replace(
        chosen,
        grain=of.grain,
        h=of.h,
        k=of.k,
        l=of.l,
        branch=of.branch,
        detector=np.full(len(of), d, np.int64),
        panel=panel,
    )


def _predicted(measurement: Measurement, state: State, d: int) -> Spots:
    """Every reflection of every grain as the detector would record it, in the form of spots."""
    geometry: DetectorGeometry = detector_of(state.numbers[d], measurement.detectors[d])
    hkl, ring = measurement.hkls[d], measurement.hkl_rings[d]
    spots = geometry.spots(state.ub, hkl, state.positions)
    g = len(state.ub)
    shape = (g, len(hkl), 2)
    fires = np.isfinite(spots.y_px).ravel()
    grain, row, _ = (index.ravel()[fires] for index in np.indices(shape))
    h, k, l = hkl[row].T  # noqa: E741
    nothing = np.zeros(len(grain))
    # The laboratory y of a spot is against its azimuth.
    branch = np.where(spots.eta.ravel()[fires] < 0, 1.0, -1.0)
    return Spots(
        grain=grain.astype(np.int64),
        spot_id=np.arange(len(grain)),
        detector=np.full(len(grain), d, np.int64),
        y_px=spots.y_px.ravel()[fires],
        z_px=spots.z_px.ravel()[fires],
        omega=spots.omega.ravel()[fires] + state.numbers[d, AT["Omega0"]],
        ring=ring[row].astype(np.int64),
        frames=np.ones(len(grain), np.int64),
        h=h,
        k=k,
        l=l,
        branch=branch,
        radial_y=nothing,
        radial_z=nothing,
        panel=np.full(len(grain), -1, np.int64),
    )


def _pairs(
    predicted: Spots, y_px: Array, z_px: Array, table: Spots, limit_px: float, limit_omega: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Reflections and their spots: the nearest pairs first, each reflection and each spot once."""
    candidates: list[Array] = []
    for ring in np.unique(predicted.ring):
        reflections, spots = np.flatnonzero(predicted.ring == ring), np.flatnonzero(table.ring == ring)
        if not len(spots):
            continue
        # omega on a circle, whose chord differs from the arc by nothing within a limit of few degrees
        tree = cKDTree(_coordinates(y_px[spots], z_px[spots], table.omega[spots], limit_px, limit_omega))
        at = _coordinates(
            predicted.y_px[reflections],
            predicted.z_px[reflections],
            predicted.omega[reflections],
            limit_px,
            limit_omega,
        )
        distance, near = tree.query(at, k=_NEAREST, distance_upper_bound=2.0)
        row, column = np.nonzero(np.isfinite(distance))
        candidates.append(np.column_stack([distance[row, column], reflections[row], spots[near[row, column]]]))
    if not candidates:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    every = np.concatenate(candidates)
    reflection, spot = every[:, 1].astype(np.int64), every[:, 2].astype(np.int64)
    off = hypot(predicted.y_px[reflection] - y_px[spot], predicted.z_px[reflection] - z_px[spot])
    turned = np.abs(wrapped(predicted.omega[reflection] - table.omega[spot]))
    inside = (off <= limit_px) & (turned <= limit_omega)
    order = np.lexsort((spot[inside], reflection[inside], every[inside, 0]))
    used_reflection, used_spot = np.zeros(len(predicted), bool), np.zeros(len(table), bool)
    pairs = []
    for r, s in zip(reflection[inside][order].tolist(), spot[inside][order].tolist(), strict=True):
        if not used_reflection[r] and not used_spot[s]:
            used_reflection[r] = used_spot[s] = True
            pairs.append((r, s))
    out = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return out[:, 0], out[:, 1]


def _coordinates(y: Array, z: Array, omega: Array, limit_px: float, limit_omega: float) -> Array:
    angle, radius = np.radians(omega), 1 / np.radians(limit_omega)
    return np.column_stack([y / limit_px, z / limit_px, radius * cos(angle), radius * sin(angle)])
