"""Timing of measured spots: the sums of 2,000 boxes, and fits of 200 spots of two grains, on one thread.

A box has 3 pixels and 2 frames to each side, and the pixels around it that it needs for background and movement.
"""

from __future__ import annotations

import argparse

import numpy as np
from calibration import calibrate, cpu_seconds, report

from midas._ext.peaks.deblend import fit_blend
from midas._ext.pull.sums import MEASURED, sum_boxes

GRID, OMEGAS, STEP = np.arange(-1500.0, 1501.0, 200.0), np.arange(-2.0, 2.01, 0.5), 0.5
HALF = np.array([600.0, 600.0, 1.0])


def spot(place: tuple[float, float, float]) -> np.ndarray:
    """(frames, pixels): a spot of a pixel's width over some frames, with background and noise."""
    radial, arc = (grid.ravel() for grid in np.meshgrid(GRID, GRID, indexing="ij"))
    profile = np.exp(-0.5 * (((radial - place[0]) / 200) ** 2 + ((arc - place[1]) / 200) ** 2))
    along = np.exp(-0.5 * ((OMEGAS - place[2]) / 0.3) ** 2)
    return np.random.default_rng(1).poisson(20 + 2000 * np.outer(along, profile)).astype(np.float64)


def sums(boxes: int) -> np.ndarray:
    radial, arc = (grid.ravel().astype(np.float32) for grid in np.meshgrid(GRID, GRID, indexing="ij"))
    counts = spot((150.0, -100.0, 0.2)).astype(np.float32).ravel()
    each, half = np.arange(boxes + 1), np.tile(HALF, (boxes, 1))
    result: np.ndarray = sum_boxes(
        np.arange(boxes), each * len(radial), np.tile(radial, boxes), np.tile(arc, boxes), each * len(counts),
        np.tile(counts, boxes), each * len(OMEGAS), np.tile(OMEGAS, boxes), half, 2 * half[:, 2] / STEP, 0 * each,
        np.empty((0, 3)),
    )  # fmt: skip
    assert (result["status"] == MEASURED).all()
    return result


def blends(count: int) -> None:
    radial, arc = (grid.ravel().copy() for grid in np.meshgrid(GRID, GRID, indexing="ij"))
    counts = spot((150.0, -100.0, 0.2)) + spot((-100.0, 200.0, -0.3)) - 40
    start, widths = np.array([(100.0, -50.0, 0.1), (-50.0, 150.0, -0.2)]), np.tile((220.0, 220.0, 0.35), (2, 1))
    for _ in range(count):
        fit_blend(counts, np.full(len(OMEGAS), 40.0), radial, arc, OMEGAS, STEP, start, widths, 0.7 * HALF)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--boxes", type=int, default=2000)
    options.add_argument("--blends", type=int, default=200)
    values = options.parse_args()
    calibration = calibrate()
    report(f"sums of {values.boxes} boxes, CPU", cpu_seconds(lambda: sums(values.boxes)), "s", calibration)
    report(f"fits of {values.blends} blends, CPU", cpu_seconds(lambda: blends(values.blends)), "s", calibration)


if __name__ == "__main__":
    main()
