"""A table of spots without frames: exact ones of the referee, blurred, those that lie on each other as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from independent.referee.crystals import Condition, Crystal, face_centred, reflections_of
from independent.referee.frames import Scan
from independent.referee.instrument import Instrument
from independent.referee.tracing import trace
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from midas.formats.merged import RESULT
from midas.formats.simulated import GrainList
from midas.formats.table import Table

Array = NDArray[np.float64]

#: columns that nobody looks at in these tables
_SHAPE = {"i_max": 1000.0, "sigma_r": 1.0, "sigma_eta": 1.0, "pixels": 9.0, "region_pixels": 9.0}
_INTENSITY = 10000.0


@dataclass(frozen=True)
class Blur:
    """What a measurement does to spots.

    Parameters
    ----------
    spot : standard deviation of y and of z, µm
    omega : of omega, degrees
    merge : whether spots nearer than a pixel and a step to each other become one
    seed : of the random numbers
    """

    spot: float = 10.0
    omega: float = 0.03
    merge: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Bench:
    """An instrument, a scan and what crystals diffract into them.

    Parameters
    ----------
    instrument, scan : of the referee
    cell : (6,) of the rings that are recorded
    smallest_spacing : of the reflections that are recorded, Å
    present : which reflections there are
    """

    instrument: Instrument
    scan: Scan
    cell: tuple[float, ...]
    smallest_spacing: float
    present: Condition = face_centred

    def spots(self, grains: GrainList, blur: Blur) -> Array:
        """(3, n) y (px), z (px), omega (degrees, of the scan) of the grains' recorded spots, by omega."""
        assert grains.cells is not None
        crystals = [
            Crystal(tuple(cell), matrix, position)
            for cell, matrix, position in zip(grains.cells, grains.matrices, grains.positions, strict=True)
        ]
        traced = trace(crystals, reflections_of(self.cell, self.smallest_spacing, self.present), self.instrument)
        rng = np.random.default_rng(blur.seed)
        y, z = (px + blur.spot / self.instrument.px * rng.standard_normal(len(px)) for px in (traced.y_px, traced.z_px))
        low, high = min(self.scan.start, self.scan.end), max(self.scan.start, self.scan.end)
        omega = low + (traced.omega + blur.omega * rng.standard_normal(len(y)) - low) % 360
        rows, columns = self.instrument.shape
        seen = (y > -0.5) & (y < columns - 0.5) & (z > -0.5) & (z < rows - 0.5) & (omega < high)
        spots = np.array([y[seen], z[seen], omega[seen]])
        if blur.merge:
            spots = merged(spots, abs(self.scan.step))
        return np.ascontiguousarray(spots[:, np.argsort(spots[2], kind="stable")])

    def spurious(self, count: int, seed: int, spread: float = 150.0) -> Array:
        """(3, n) the same of spots anywhere on the rings, `count` on each, within `spread` (µm) of its radius."""
        rng = np.random.default_rng(seed)
        two_theta = 2 * np.arcsin(self.instrument.wavelength / 2 / self._spacings())
        radius = np.repeat(self.instrument.lsd * np.tan(two_theta), count)
        radius = (radius + rng.uniform(-spread, spread, len(radius))) / self.instrument.px
        eta = rng.uniform(0, 2 * np.pi, len(radius))
        omega = rng.uniform(min(self.scan.start, self.scan.end), max(self.scan.start, self.scan.end), len(radius))
        centre = self.instrument.beam_centre
        return np.array([centre[0] + radius * np.sin(eta), centre[1] + radius * np.cos(eta), omega])

    def table(self, spots: Sequence[Array]) -> Table:
        """Merged spots as the merging stage would list them, one table of all the arrays."""
        y, z, omega = np.concatenate(spots, axis=1)
        order = np.argsort(omega, kind="stable")
        y, z, omega = y[order], z[order], omega[order]
        across, up = y - self.instrument.beam_centre[0], z - self.instrument.beam_centre[1]
        step, n = abs(self.scan.step), len(y)
        columns: dict[str, ArrayLike] = {name: np.full(n, value) for name, value in _SHAPE.items()}
        columns |= {
            "spot_id": np.arange(1, n + 1),
            "omega_recorded": omega,
            "y_recorded": y,
            "z_recorded": z,
            "min_omega": omega - step,
            "max_omega": omega + step,
            "radius": np.hypot(across, up),
            "eta": np.degrees(np.arctan2(across, up)),
            "intensity": np.full(n, _INTENSITY),
            "raw_sum": np.full(n, _INTENSITY),
        }
        return RESULT.rounded(Table.from_columns(RESULT.names, columns))

    def _spacings(self) -> Array:
        """(r,) lattice spacings of the rings, Å."""
        hkl = reflections_of(self.cell, self.smallest_spacing, self.present)
        reciprocal = Crystal(self.cell, np.eye(3), np.zeros(3)).scattering_vectors(hkl)
        spacings: Array = np.unique(np.round(1 / np.linalg.norm(reciprocal, axis=1), 9))
        return spacings


def merged(spots: Array, step: float) -> Array:
    """(3, m) of (3, n) spots: those nearer than a pixel and a step to each other, in chains, at their mean."""
    place = (spots / [[1.0], [1.0], [step]]).T
    pairs = cKDTree(place).query_pairs(1.0, p=np.inf, output_type="ndarray")
    n = len(place)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, label = connected_components(links, directed=False)
    size = np.bincount(label, minlength=count)
    return np.array([np.bincount(label, column, count) / size for column in spots])
