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
    n = spots.table.shape[1]
    spots.table[4:] += 8 * rng.standard_normal((2, n))
    spots.table[2:4] += rng.uniform(-0.125, 0.125, n)
    wrong = rng.random(n) < 0.05
    spots.table[4:, wrong] += rng.uniform(-400, 400, (2, wrong.sum()))
    hkl, first = experiment.reflections()
    offsets = np.searchsorted(spots.grain, np.arange(seeds + 1)).astype(np.int64)
    results = np.zeros((seeds, 27)), np.zeros((n, 22)), np.zeros(seeds, np.int32), np.zeros(seeds, np.int32)
    anywhere = np.array([[-180.0, 180.0]]), np.array([[-1e9, 1e9, -1e9, 1e9]])
    region = AcceptedRegion(min_eta=6.0, ranges=anywhere[0], boxes=anywhere[1])
    calibration = calibrate()
    for name, method, solver in (
        ("joint", "joint", "robust"),
        ("staged", "staged", "simplex"),
        ("converged", "staged", "converged"),
    ):
        refiner = Refiner(
            lsd=experiment.lsd, wavelength=experiment.wavelength, wedge=0.0, cell=experiment.cell, margin_lengths=0.048,
            margin_angles=0.048, r_sample=2000.0, h_beam=2000.0, region=region, hkl=hkl, group_first=first,
            spots=spots.table, spot_group=spots.group, rejected=np.zeros(n, np.uint8), sigma_spot=30.0,
            sigma_omega=0.1, method=method, solver=solver, largest_radius=False,
        )  # fmt: skip
        seconds = cpu_seconds(lambda r=refiner: r.rows(grains.seeds, offsets, np.arange(n), np.ones(n), *results, 1))
        limit = f"limit {LIMIT_MS:g} ms" if method == "joint" else ""
        what = f"refinement, {name}, {n / seeds:.0f} spots a seed"
        report(what, 1e3 * seconds / seeds, "ms", 1e3 * calibration, limit)


if __name__ == "__main__":
    main()
