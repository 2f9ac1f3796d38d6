"""Timing of the refinement: seeds of a simulated gold grain with 116 or so spots each, noisy, on one thread.

The goal is 2 ms of CPU a seed; the legacy program takes 210 ms.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from calibration import calibrate, cpu_seconds, report

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.refiner import Refiner
from midas._ext.refine.settings import Bounds, Instrument, Recipe, RecordedSpots, Reflections

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from simulated_grains import Experiment, Grains, simulate

LIMIT_MS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    seeds = parser.parse_args().seeds
    experiment = Experiment()
    grains = Grains.random(1, seeds, experiment)
    spots = simulate(experiment, grains.orientations, grains.positions, grains.cells)
    rng = np.random.default_rng(2)
    n = len(spots)
    spots.blur(rng, spot=8)
    spots.turn(rng.uniform(-0.125, 0.125, n))
    wrong = rng.random(n) < 0.05
    for column in (spots.y_plane, spots.z_plane):
        column[wrong] += rng.uniform(-400, 400, wrong.sum())
    starts = grains.start_orientations, grains.start_positions
    instrument = Instrument(experiment.lsd, experiment.wavelength)
    reflections = Reflections(*experiment.reflections())
    recorded = RecordedSpots(spots.y_plane, spots.z_plane, spots.omega_recorded, spots.group)
    bounds = Bounds(experiment.cell, margin_lengths=0.048, margin_angles=0.048, r_sample=2000.0, h_beam=2000.0)
    offsets = np.searchsorted(spots.grain, np.arange(seeds + 1)).astype(np.int64)
    anywhere = np.array([[-180.0, 180.0]]), np.array([[-1e9, 1e9, -1e9, 1e9]])
    region = AcceptedRegion(min_eta=6.0, ranges=anywhere[0], boxes=anywhere[1])
    calibration = calibrate()
    for name, method, solver in (
        ("joint", "joint", "robust"),
        ("staged", "staged", "simplex"),
        ("converged", "staged", "converged"),
    ):
        recipe = Recipe(sigma_spot=30.0, sigma_omega=0.1, method=method, solver=solver)
        refiner = Refiner(instrument, region, reflections, recorded, bounds, recipe)
        seconds = cpu_seconds(lambda r=refiner: r.refine(*starts, offsets, np.arange(n)))
        limit = f"limit {LIMIT_MS:g} ms" if method == "joint" else ""
        what = f"refinement, {name}, {n / seeds:.0f} spots a seed"
        report(what, 1e3 * seconds / seeds, "ms", 1e3 * calibration, limit)


if __name__ == "__main__":
    main()
