"""Exact spots of simulated grains, independent of the kernels (docs/theory/refinement.md#predicted-spot)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from midas.experiment.angles import wrapped
from midas.experiment.orientation import matrices_from_quaternions

Array = NDArray[np.float64]


def reciprocal_basis(cell: Array) -> Array:
    """B of docs/theory/refinement.md#lattice-to-scattering-vector."""
    (a, b, c), angles = cell[:3], np.radians(cell[3:])
    (ca, cb, cg), (sa, sb, sg) = np.cos(angles), np.sin(angles)
    cos_gamma, cos_beta = (ca * cb - cg) / (sa * sb), (cg * ca - cb) / (sg * sa)
    sin_gamma, sin_beta = np.sqrt(1 - cos_gamma**2), np.sqrt(1 - cos_beta**2)
    volume = a * b * c * sa * sin_beta * sg
    a_star, b_star, c_star = b * c * sa / volume, c * a * sb / volume, a * b * sg / volume
    return np.array(
        [
            [a_star, b_star * cos_gamma, c_star * cos_beta],
            [0, b_star * sin_gamma, -c_star * sin_beta * ca],
            [0, 0, c_star * sin_beta * sa],
        ]
    )


def rotation_z(angle: float) -> Array:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def small_rotation(vector: Array) -> Array:
    """The rotation by |vector| degrees about it."""
    half = np.radians(np.linalg.norm(vector)) / 2
    axis = vector / max(np.linalg.norm(vector), 1e-300)
    return matrices_from_quaternions(np.concatenate([[np.cos(half)], np.sin(half) * axis]))


@dataclass
class Experiment:
    """The gold example's instrument; reflections of a face-centred lattice up to h² + k² + l² = `limit`."""

    cell: Array = field(default_factory=lambda: np.array([4.08, 4.08, 4.08, 90.0, 90.0, 90.0]))
    lsd: float = 1e6
    wavelength: float = 0.22291
    wedge: float = 0.0
    exact_wedge: bool = True  # False: the wedge moves omega only
    tilts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    min_eta: float = 6.0
    omega_range: tuple[float, float] = (-180.0, 180.0)
    limit: int = 12

    def reflections(self) -> tuple[Array, NDArray[np.int32]]:
        """(3, n) indices sorted by ring, and the first of each ring with the end."""
        rows = [
            (h * h + k * k + l * l, h, k, l)
            for h, k, l in product(range(-4, 5), repeat=3)
            if 0 < h * h + k * k + l * l <= self.limit and len({h % 2, k % 2, l % 2}) == 1
        ]
        table = np.array(sorted(rows), float)
        first = np.flatnonzero(np.diff(table[:, 0], prepend=-1))
        return np.ascontiguousarray(table[:, 1:].T), np.append(first, len(table)).astype(np.int32)

    def stopped(self, origin: Array, beam: Array) -> Array:
        """Where a beam from `origin` meets the detector, which stands tilted on the primary beam at `lsd`."""
        (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(self.tilts)), np.sin(np.radians(self.tilts))
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        normal = about_x @ about_y @ [cz, sz, 0]
        return np.asarray(origin + (normal[0] * self.lsd - origin @ normal) / (beam @ normal) * beam)


@dataclass
class Spots:
    """Spots of some grains; row r has id r + 1."""

    y_plane: Array
    z_plane: Array
    omega_recorded: Array
    omega_ideal: Array
    group: NDArray[np.int32]
    grain: NDArray[np.int64]
    hkl: Array
    branch: Array

    def __len__(self) -> int:
        return len(self.group)

    def of(self, grain: int) -> NDArray[np.int64]:
        """Rows of the spots of a grain."""
        return np.flatnonzero(self.grain == grain)

    def blur(self, rng: np.random.Generator, *, spot: float = 0.0, omega: float = 0.0) -> None:
        """Add normal noise of so many µm and degrees."""
        for column in (self.y_plane, self.z_plane):
            column += spot * rng.standard_normal(len(self))
        self.turn(omega * rng.standard_normal(len(self)))

    def turn(self, angle: float | Array) -> None:
        """Add an angle to the omegas, degrees."""
        self.omega_recorded += angle
        self.omega_ideal += angle


def _shifts(k: Array, wedge: float, exact: bool) -> tuple[float, float]:
    """What takes the omega of a reflection with the laboratory vector `k` to the ideal and to the recorded one, rad.

    NaN beside the pole, where one has no partner.
    """
    across = k[0] * np.cos(wedge) + k[2] * np.sin(wedge)
    root = across**2 + k[1] ** 2 - k[0] ** 2
    across_ideal = np.copysign(np.sqrt(root), k[1]) if root >= 0 else np.nan
    shift = np.arctan2(across_ideal, k[0]) - np.arctan2(k[1], across)
    return (shift, 0.0) if exact else (0.0, -shift)


def simulate(experiment: Experiment, orientations: Array, positions: Array, cells: Array) -> Spots:
    """Every spot of the grains, ring by ring within a grain."""
    hkl, first = experiment.reflections()
    group_of = np.repeat(np.arange(len(first) - 1), np.diff(first))
    wedge = np.radians(experiment.wedge)
    axis = wedge if experiment.exact_wedge else 0.0
    lean = np.array([[np.cos(axis), 0, -np.sin(axis)], [0, 1, 0], [np.sin(axis), 0, np.cos(axis)]])
    rows: list[list[Any]] = []
    for grain, (u, position, cell) in enumerate(zip(orientations, positions, cells, strict=True)):
        g = u @ reciprocal_basis(cell) @ hkl
        for i, (x, y, z) in enumerate(g.T):
            length = np.sqrt(x * x + y * y + z * z)
            theta = np.arcsin(experiment.wavelength * length / 2)
            v = np.sin(theta) * length
            # cos W (x cos w - y sin w) - z sin W = -v: y sin w - x cos w = amplitude·sin(w + phase) = reach
            amplitude, phase, reach = np.hypot(x, y), np.arctan2(-x, y), (v - z * np.sin(axis)) / np.cos(axis)
            if amplitude <= abs(reach):
                continue
            for omega in (np.arcsin(reach / amplitude) - phase, np.pi - np.arcsin(reach / amplitude) - phase):
                k = lean @ rotation_z(np.degrees(omega)) @ [x, y, z]
                radius = experiment.lsd * np.tan(2 * theta) / np.hypot(k[1], k[2])
                spot_y, spot_z = radius * k[1], radius * k[2]
                eta = np.degrees(np.arctan2(-spot_y, spot_z))
                ideal, raw = (wrapped(np.degrees(omega + shift)) for shift in _shifts(k, wedge, experiment.exact_wedge))
                low, high = experiment.omega_range
                beside_poles = experiment.min_eta <= abs(eta) <= 180 - experiment.min_eta
                if not (beside_poles and low < (raw if experiment.exact_wedge else ideal) < high):
                    continue
                if np.isnan(ideal + raw):
                    continue
                px, py, pz = rotation_z(raw) @ position
                px, pz = px * np.cos(wedge) - pz * np.sin(wedge), px * np.sin(wedge) + pz * np.cos(wedge)
                stopped = experiment.stopped(np.array([px, py, pz]), np.array([experiment.lsd, spot_y, spot_z]))
                det_y, det_z = experiment.lsd * stopped[1:] / stopped[0]
                rows.append([det_y, det_z, ideal, raw, group_of[i], grain, i, np.sign(k[1])])
    y, z, ideal, recorded, group, of_grain, reflection, branch = np.array(rows).T.copy()
    group, of_grain = group.astype(np.int32), of_grain.astype(np.int64)
    return Spots(y, z, recorded, ideal, group, of_grain, hkl[:, reflection.astype(int)], branch)


@dataclass
class Grains:
    """True grains and starting points of a fit."""

    orientations: Array
    positions: Array
    cells: Array
    start_orientations: Array  # (n, 9)
    start_positions: Array

    @classmethod
    def random(
        cls, seed: int, n: int, experiment: Experiment, *, strain: float = 1e-3, off: float = 50.0, tilt: float = 0.08
    ) -> Grains:
        """`n` grains within ±300 µm; starts `off` µm and `tilt` degrees away, with the nominal cell."""
        rng = np.random.default_rng(seed)
        q = rng.standard_normal((n, 4))
        u = matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True))
        positions = rng.uniform(-300, 300, (n, 3))
        e = strain * rng.uniform(-1, 1, (n, 6))
        cells = experiment.cell * np.concatenate([1 + e[:, :3], 1 + e[:, 3:] * 2 / np.pi], axis=1)
        shift, axis = rng.standard_normal((2, n, 3))
        shift *= off / np.linalg.norm(shift, axis=1, keepdims=True)
        axis *= tilt / np.linalg.norm(axis, axis=1, keepdims=True)
        starts = np.array([(small_rotation(a) @ m).ravel() for a, m in zip(axis, u, strict=True)])
        return cls(u, positions, cells, starts, positions + shift)


def lattice_errors(found: NDArray[np.void], grains: Grains, rows: Any = slice(None)) -> tuple[Array, Array, Array]:
    """Position error (µm), rotation vector (degrees) and six strain components of solutions against the truth.

    Solutions have `orientation`, `position` and `cell`, in a file or as the kernel gives them.
    """
    out: list[tuple[float, Array, Array]] = []
    truth = zip(grains.orientations[rows], grains.positions[rows], grains.cells[rows], strict=True)
    for solution, (u, position, cell) in zip(found, truth, strict=True):
        lattice = solution["orientation"].reshape(3, 3) @ np.linalg.inv(reciprocal_basis(solution["cell"])).T
        true = u @ np.linalg.inv(reciprocal_basis(cell)).T
        x = lattice @ np.linalg.inv(true)
        left, _, right = np.linalg.svd(x)
        turn = left @ right
        skew = (turn - turn.T) / 2
        out.append(
            (
                float(np.linalg.norm(solution["position"] - position)),
                np.degrees([skew[2, 1], skew[0, 2], skew[1, 0]]),
                (turn.T @ x - np.eye(3))[np.triu_indices(3)],
            )
        )
    return np.array([o[0] for o in out]), np.array([o[1] for o in out]), np.array([o[2] for o in out])
