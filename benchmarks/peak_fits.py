"""Fits of peaks against the truth: how many are found, how far centres and intensities are off, and what a fit costs.

    python benchmarks/peak_fits.py [KIND ...] [--methods nm lm] [--frames N]

Spots are integrals of closed forms over pixels with Poisson noise; nothing of the suite makes them. A spot that is
nearer to another one than `APART` of its widths is none that a fit could tell apart, and does not count.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from calibration import calibrate, report
from scipy.spatial import cKDTree
from scipy.special import erf

from midas.archive import DATA, ArchiveWriter
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages import peaks

SIDE, CENTRE, BACKGROUND = 512, 255.5, 10.0
APART = 3.0
#: pixels within which a peak is that of a spot
NEAR = 2.0
#: pieces of each side of a pixel over which profiles are summed
PIECES = 5


@dataclass(frozen=True)
class Kind:
    """Spots of one kind.

    Parameters
    ----------
    count : on a frame
    along, across : widths (standard deviations), px, along the ring and along the radius, each up to half as much again
    lowest, highest : heights, counts, spread evenly in their logarithm
    lorentzian : share of a Lorentzian of the same width at half height
    scale : of the detector; larger counts are cut off
    """

    count: int
    along: float
    across: float
    lowest: float = 100.0
    highest: float = 10_000.0
    lorentzian: float = 0.0
    scale: float = 65535.0


KINDS = {
    "isolated": Kind(60, 1.0, 1.0),
    "crowded": Kind(900, 1.0, 1.0),
    "dense": Kind(2500, 1.0, 1.0),
    "broad": Kind(60, 3.0, 3.0),
    "lorentzian": Kind(60, 1.2, 1.2, lorentzian=0.7),
    "saturated": Kind(60, 1.5, 1.5, 2000.0, 20_000.0, scale=4095.0),
    "low counts": Kind(200, 1.2, 1.2, 25.0, 80.0),
    "streaks": Kind(100, 6.0, 1.0),
    "crowded streaks": Kind(400, 6.0, 1.0),
}


@dataclass(frozen=True)
class Truth:
    """Spots of a frame: centres (px), smallest width (px), and counts."""

    y: np.ndarray
    z: np.ndarray
    width: np.ndarray
    intensity: np.ndarray


def frame_of(kind: Kind, random: np.random.Generator) -> tuple[np.ndarray, Truth]:
    """A frame, and what is on it."""
    radius = np.sqrt(random.uniform(60.0**2, 245.0**2, kind.count))
    eta = random.uniform(-np.pi, np.pi, kind.count)
    y, z = CENTRE + radius * np.sin(eta), CENTRE + radius * np.cos(eta)
    wider = random.uniform(1.0, 1.5, kind.count)
    height = np.exp(random.uniform(np.log(kind.lowest), np.log(kind.highest), kind.count))
    image = np.full((SIDE, SIDE), BACKGROUND)
    intensity = np.zeros(kind.count)
    for i in range(kind.count):
        along, across = kind.along * wider[i], kind.across * wider[i]
        reach = int(np.ceil((12 if kind.lorentzian else 5) * max(along, across)))
        rows, columns = (
            slice(max(int(at) - reach, 0), min(int(at) + reach + 1, SIDE)) for at in (z[i], y[i])
        )  # fmt: skip
        counts = height[i] * _profile(kind, rows, columns, (y[i], z[i]), eta[i], along, across)
        image[rows, columns] += counts
        intensity[i] = counts.sum()
    frame = np.minimum(random.poisson(image), kind.scale).astype(np.uint16)
    return frame, Truth(y, z, min(kind.along, kind.across) * wider, intensity)


def _profile(
    kind: Kind, rows: slice, columns: slice, centre: tuple[float, float], eta: float, along: float, across: float
) -> np.ndarray:
    """Mean of a profile of height 1 over each pixel."""
    if along == across and not kind.lorentzian:
        sides = [_gaussian(span, at, along) for span, at in ((rows, centre[1]), (columns, centre[0]))]
        return np.outer(*sides)
    pieces = (np.arange(PIECES) + 0.5) / PIECES - 0.5
    dz, dy = (
        (np.arange(span.start, span.stop)[:, None] + pieces - at).ravel()
        for span, at in ((rows, centre[1]), (columns, centre[0]))
    )
    # An arc about the beam: distances along the radius and along the ring.
    ry, rz = centre[0] - CENTRE, centre[1] - CENTRE
    radius = np.hypot(ry, rz)
    pixel_radius = np.hypot(ry + dy, (rz + dz)[:, None])
    u = pixel_radius - radius
    v = radius * ((np.arctan2(ry + dy, (rz + dz)[:, None]) - eta + np.pi) % (2 * np.pi) - np.pi)
    square = (u / across) ** 2 + (v / along) ** 2
    gauss = np.exp(-0.5 * square)
    half = 2 * np.log(2)
    lorentz = 1 / ((1 + (u / across) ** 2 / half) * (1 + (v / along) ** 2 / half)) if kind.lorentzian else 0.0
    fine = (1 - kind.lorentzian) * gauss + kind.lorentzian * lorentz
    return fine.reshape(rows.stop - rows.start, PIECES, columns.stop - columns.start, PIECES).mean((1, 3))


def _gaussian(span: slice, at: float, width: float) -> np.ndarray:
    edges = (np.arange(span.start, span.stop + 1) - 0.5 - at) / (np.sqrt(2) * width)
    return np.sqrt(np.pi / 2) * width * np.diff(erf(edges))


def parameters_of(method: str, more: str = "") -> Parameters:
    text = f"""
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
BC {CENTRE} {CENTRE}
px 200
OmegaStart 0
OmegaStep 0.25
DoFullImage 1
RingThresh 1 {BACKGROUND + 3 * np.sqrt(BACKGROUND):g}
MinNrPx 3
PeakFitMethod {method}
{more}
"""
    return Parameters.parse(text, "benchmark")


def judge(truths: list[Truth], tables: list[Table]) -> dict[str, float]:
    """Share of the separable spots found, errors of their centres (px) and intensities (relative), spurious peaks."""
    distances, ratios, separable, spurious = [], [], 0, 0
    for truth, table in zip(truths, tables, strict=True):
        places = np.column_stack([truth.y, truth.z])
        gap = cKDTree(places).query(places, k=2)[0][:, 1] / truth.width
        alone = np.flatnonzero(gap > APART)
        separable += len(alone)
        found = np.column_stack([table["y_recorded"], table["z_recorded"]])
        if not len(found):
            continue
        distance, peak = cKDTree(found).query(places[alone])
        near = distance < NEAR
        distances.append(distance[near])
        ratios.append(table["intensity"][peak[near]] / truth.intensity[alone[near]] - 1)
        spurious += int((cKDTree(places).query(found)[0] > NEAR).sum())
    distance, ratio = np.concatenate(distances), np.abs(np.concatenate(ratios))
    return {
        "found": len(distance) / separable, "median": float(np.median(distance)),
        "p90": float(np.quantile(distance, 0.9)), "p99": float(np.quantile(distance, 0.99)),
        "intensity": float(np.median(ratio)), "intensity p90": float(np.quantile(ratio, 0.9)), "spurious": spurious,
    }  # fmt: skip


def measure(name: str, kind: Kind, methods: list[str], frames: int, calibration: float, more: str) -> None:
    random = np.random.default_rng(5)
    made = [frame_of(kind, random) for _ in range(frames)]
    with tempfile.TemporaryDirectory() as folder:
        layer = Layer(Path(folder), Path(folder) / "scan.MIDAS.zip")
        with ArchiveWriter(layer.archive, (frames, SIDE, SIDE), np.uint16) as writer:
            writer.add_frames(DATA, (frames, SIDE, SIDE), iter([frame for frame, _ in made]))
            writer.add_parameters(parameters_of("nm"))
        for method in methods:
            start = time.process_time()
            tables = [table for table, _ in peaks.run(layer, parameters_of(method, more), threads=1, force=True).data]
            seconds = time.process_time() - start
            count = sum(map(len, tables))
            figures = "  ".join(f"{key} {value:.4f}" for key, value in judge([t for _, t in made], tables).items())
            print(f"{name}, {method}: {count} peaks  {figures}")
            report(f"  {method}, CPU of a peak", 1e3 * seconds / count, "ms", 1e3 * calibration)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kinds", nargs="*", default=[], help=f"of {', '.join(KINDS)}; all by default")
    options.add_argument("--methods", nargs="+", default=["nm", "lm"])
    options.add_argument("--frames", type=int, default=20)
    options.add_argument("--parameters", default="", help="further lines of the parameter file")
    values = options.parse_args()
    logging.getLogger("midas").setLevel(logging.ERROR)
    calibration = calibrate()
    for name in values.kinds or KINDS:
        measure(name, KINDS[name], values.methods, values.frames, calibration, values.parameters)


if __name__ == "__main__":
    main()
