"""Seeds of simulated grains, and their refinement by the kernel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from simulated_grains import Array, Experiment, Grains, Spots, simulate

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.refiner import Refiner
from midas._ext.refine.settings import Bounds, Instrument, Recipe, RecordedSpots, Reflections

EXPERIMENT = Experiment()
#: method and solver
METHODS = ("joint robust", "staged converged", "staged simplex")
ALL_METHODS = (*METHODS, "cell robust", "cell simplex")


class Result(NamedTuple):
    solutions: NDArray[np.void]
    fits: NDArray[np.void]
    offsets: NDArray[np.int64]
    counts: NDArray[np.int32]
    status: NDArray[np.int32]

    def spots(self, seed: int) -> NDArray[np.void]:
        return self.fits[self.offsets[seed] : self.offsets[seed] + self.counts[seed]]


def region(experiment: Experiment, **limits: Any) -> AcceptedRegion:
    """Everywhere but near the poles, unless said otherwise."""
    limits = {"min_eta": experiment.min_eta - 0.5, "ranges": np.array([[-180.0, 180.0]]), "px": 200.0} | limits
    limits.setdefault("boxes", np.full((len(limits["ranges"]), 4), [-1e9, 1e9, -1e9, 1e9]))
    return AcceptedRegion(**limits)


def refiner(
    experiment: Experiment,
    spots: Spots,
    method: str = "joint robust",
    limits: AcceptedRegion | None = None,
    **more: Any,
) -> Refiner:
    """A kernel for these spots; `more` replaces arrays of the reflections, spots and bounds by name."""
    hkl, first = experiment.reflections()
    reflections = {"hkl": hkl, "first": first}
    recorded = {name: getattr(spots, name) for name in ("y_plane", "z_plane", "omega_recorded", "group")}
    recorded["certainty"] = None
    bounds = {
        "cell": experiment.cell, "margin_lengths": 0.048, "margin_angles": 0.048, "r_sample": 2000.0, "h_beam": 2000.0,
    }  # fmt: skip
    for group in (reflections, recorded, bounds):
        group.update({name: more.pop(name) for name in group.keys() & more.keys()})
    assert not more
    return Refiner(
        Instrument(experiment.lsd, experiment.wavelength, experiment.wedge, experiment.exact_wedge, experiment.tilts),
        region(experiment) if limits is None else limits,
        Reflections(**reflections),
        RecordedSpots(**recorded),
        Bounds(**bounds),  # type: ignore[arg-type]
        Recipe(30.0, 0.1, *method.split()),  # type: ignore[arg-type]
    )


def refine(
    fit: Refiner, orientations: Array, positions: Array, lists: list[NDArray[np.int64]], threads: int = 1
) -> Result:
    """Refine seeds, each from its list of rows of the spots."""
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in lists])]).astype(np.int64)
    rows = np.concatenate([*lists, []]).astype(np.int64)
    solutions, fits, counts, status = fit.refine(orientations, positions, offsets, rows, threads)
    return Result(solutions, fits, offsets, counts, status)


def refine_grains(fit: Refiner, grains: Grains, spots: Spots, threads: int = 1) -> Result:
    """Refine one seed per grain, from all its spots."""
    lists = [spots.of(i) for i in range(len(grains.positions))]
    return refine(fit, grains.start_orientations, grains.start_positions, lists, threads)


def case(n: int = 6, seed: int = 3, experiment: Experiment = EXPERIMENT, **start: float) -> tuple[Grains, Spots]:
    """Grains and their spots."""
    grains = Grains.random(seed, n, experiment, **start)
    return grains, simulate(experiment, grains.orientations, grains.positions, grains.cells)


def rms(values: Array) -> float:
    return float(np.sqrt((values**2).mean()))
