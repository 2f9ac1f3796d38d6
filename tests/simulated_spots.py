"""Spots of random grains from the simulator's kernel, for its tests."""

from __future__ import annotations

import numpy as np

from midas._ext.legacy.distortion_map import distortion_map
from midas._ext.simulate.spots import SpotSimulator
from midas.experiment.detector import DetectorGeometry
from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.table import Table
from midas.simulation.scan import spot_table

NO_PANELS = np.empty((0, 8))
WAVELENGTH = 0.172979
FCC = np.array([3.524, 3.524, 3.524, 90, 90, 90])
REFLECTIONS = np.array(
    [[*h, 1] for h in np.array(list(np.ndindex(5, 5, 5))) - 2 if len({i % 2 for i in h}) == 1 and any(h)], float
)
TILTED = DetectorGeometry(
    *(800000.0, 509.3, 515.7, 200.0, 102400.0),
    tx=0.2,
    ty=0.3,
    tz=-0.25,
    p0=1e-4,
    p1=-5e-5,
    p2=3e-4,
    p3=10.0,
)
PLAIN = DetectorGeometry(500000.0, 512.0, 512.0, 200.0, 102400.0)


def grains(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orientations, cells and positions of random grains."""
    random = np.random.default_rng(seed)
    q = random.standard_normal((count, 4))
    matrices = matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True)).reshape(-1, 9)
    return np.ascontiguousarray(matrices), np.tile(FCC, (count, 1)), random.uniform(-300, 300, (count, 3))


def spots_of(
    sample,
    detector: DetectorGeometry = PLAIN,
    *,
    omega=(-180.0, 180.0, 0.5),
    wedge=0.0,
    exact_wedge=None,
    panels=NO_PANELS,
    legacy=False,
    samples=(WAVELENGTH,),
    beam_size=-1.0,
    threads=1,
    reflections=REFLECTIONS,
) -> Table:
    """The table that the simulator makes of (orientations, cells, positions)."""
    packed = detector.packed()
    inverse = distortion_map(packed, (1024, 1024), panels) if legacy else None
    frames = round((omega[1] - omega[0]) / omega[2])
    simulator = SpotSimulator(
        *(reflections, packed, (1024, 1024), panels, inverse),
        wavelength=WAVELENGTH,
        samples=np.array(samples),
        omega=omega,
        frames=frames,
        wedge=wedge,
        exact_wedge=not legacy if exact_wedge is None else exact_wedge,
        beam_size=beam_size,
    )
    return spot_table(simulator.spots(*sample, threads))


def common_rows(a: Table, b: Table) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the spots, named by grain and number, that are in both tables."""
    rows = {key: i for i, key in enumerate(zip(*b.columns[:2], strict=True))}
    pairs = [(i, rows[key]) for i, key in enumerate(zip(*a.columns[:2], strict=True)) if key in rows]
    return tuple(np.array(pairs).T)
