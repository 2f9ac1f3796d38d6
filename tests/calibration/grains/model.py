"""Measurements of model grains, of which everything is known, for the tests of the joint fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from grain_spots import NICKEL, GrainSpots
from numpy.typing import NDArray

from midas.calibration.grains.case import Case, Measurement
from midas.calibration.grains.gauge import Convention, Trust
from midas.calibration.grains.observed import Spots
from midas.calibration.grains.state import Free, State
from midas.experiment import reciprocal_basis
from midas.experiment.detector import DetectorGeometry
from midas.experiment.instrument_numbers import numbers_of

Array = NDArray[np.float64]
ALL = ("Lsd", "BCy", "BCz", "tx", "ty", "tz", "p0", "p1c", "p1s", "p2", "Wedge")
#: of the start, as in a first analysis: µm, px, px, degrees
ERRORS = {"lsd": 2000.0, "y_bc": 2.0, "z_bc": -2.0, "tx": 0.3, "ty": 0.2, "tz": -0.2, "wedge": 0.05}


def detector_of(spots: GrainSpots, exact: bool = True) -> DetectorGeometry:
    """The true instrument."""
    i = spots.instrument
    p0, p1, p2, p3 = i.distortion
    return DetectorGeometry(
        *(i.lsd, *i.beam_centre, i.px, i.rho_d, *i.tilts),
        *(p0, p1, p2, p3, i.wavelength, i.wedge, exact, exact),
    )


def wrong(detector: DetectorGeometry, size: float = 1.0, distortion: bool = True) -> DetectorGeometry:
    """A geometry that is so wrong, and, if asked, knows nothing of the distortion."""
    moved = {name: getattr(detector, name) + size * error for name, error in ERRORS.items()}
    return replace(detector, **moved, **(dict.fromkeys(("p0", "p1", "p2", "p3"), 0.0) if distortion else {}))


def columns_of(spots: GrainSpots, detector: int = 0) -> Spots:
    """As the fit takes them."""
    n = len(spots.omega)
    h, k, l = spots.hkl  # noqa: E741
    grain = np.repeat(np.arange(len(spots.ub)), np.diff(spots.first))
    return Spots(
        *(grain, np.arange(1, n + 1), np.full(n, detector), *spots.pixels, spots.omega, spots.ring, spots.frames),
        *(h, k, l, spots.branch, *spots.radial, np.full(n, -1)),
    )


def measurement(
    spots: GrainSpots, start: DetectorGeometry, *, noise: float = 1.0, seed: int = 3, others: tuple = ()
) -> Measurement:
    """A first analysis: grains with errors, on a geometry that may be wrong; `others` are further detectors.

    Each of the others is its spots and its start. The grains are the same.
    """
    rng, g = np.random.default_rng(seed), len(spots.ub)
    step = np.hstack([rng.normal(0, s * noise, (g, 3)) for s in (100, 0.05, 300, 300)])
    numbers = numbers_of(start)[None]
    state = Free.of(()).moved(State(numbers, np.empty((0, 2)), spots.ub, spots.positions), np.empty(0), step)
    # The heights are known up to their mean, so that the conventions hold for the truth.
    state.positions[:, 2] += spots.positions[:, 2].mean() - state.positions[:, 2].mean()
    every = [(spots, start), *others]
    listed = [columns_of(one, d) for d, (one, _) in enumerate(every)]
    hkl = np.array(list(np.ndindex(9, 9, 9)), float) - 4
    hkl = hkl[(np.ptp(hkl % 2, axis=1) == 0) & hkl.any(axis=1)]
    ring = np.sum(hkl**2, axis=1).astype(np.int64)
    used = np.isin(ring, spots.ring)
    free = [Spots.joined([one]).take(np.argsort(one.spot_id)) for one in listed]
    return Measurement(
        detectors=tuple(d for _, d in every),
        cell=np.array(NICKEL),
        ids=np.tile(np.arange(1, g + 1)[:, None], len(every)),
        ub=state.ub,
        positions=state.positions,
        volume=np.ones(g),
        spots=Spots.joined(listed),
        tables=tuple(free),
        hkls=(hkl[used],) * len(every),
        hkl_rings=(ring[used],) * len(every),
        panels=(0,) * len(every),
        step=0.25,
        range=360.0,
    )


def case_of(spots: GrainSpots, trust: Trust = "none", threads: int = 1) -> Case:
    """The spots of one detector, with the truth as convention for the height."""
    detector = detector_of(spots)
    columns, g = columns_of(spots), len(spots.ub)
    reference = np.array(reciprocal_basis(NICKEL))
    convention = Convention(reference, trust, float(spots.positions[:, 2].mean()), np.ones(g))
    return Case(columns, columns.classes([detector]), g, 1, convention, threads=threads)


def state_of(m: Measurement) -> State:
    """Where its fit starts."""
    return State(np.array([numbers_of(d) for d in m.detectors]), np.zeros((0, 2)), m.ub.copy(), m.positions.copy())
