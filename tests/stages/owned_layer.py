"""A layer with known crystals: their spots with noise, and solutions as the refinement might have left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from midas._ext.grains.reflections import ReflectionModel
from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.settings import Instrument
from midas.experiment import crystal
from midas.formats.layer import Layer
from midas.formats.refined import FIT_BEST, ORIENT_POS_FIT, RefinedSeeds
from midas.formats.spots import EXTRA_INFO
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.result import StageResult
from midas.stages import grains

LSD, WAVELENGTH, PX, STEP = 1e6, 0.22291, 200.0, 0.25
NICKEL = (3.6, 3.6, 3.6, 90.0, 90.0, 90.0)
SCALES = (10.0, 0.03)  # noise of a spot, µm and degrees

Array = np.ndarray


@dataclass
class Sample:
    """Crystals, and the spots that they and nobody leave.

    Parameters
    ----------
    u, position : (n, 3, 3) and (n, 3), µm
    cell : of all of them, and the nominal one
    space_group : of the crystal
    rings : in use
    omega, min_eta : range and excluded azimuth, degrees
    visible : (n,) which crystals leave spots
    spurious : spots at random on each ring
    """

    u: Array
    position: Array
    cell: tuple[float, ...] = NICKEL
    space_group: int = 225
    rings: Sequence[int] = (1, 2, 3, 4)
    omega: tuple[float, float] = (-90.0, 90.0)
    min_eta: float = 6.0
    visible: Sequence[bool] | None = None
    spurious: int = 0
    seed: int = 1
    spots: Table = field(init=False)
    of_spot: Array = field(init=False)  # crystal of each spot; -1

    def __post_init__(self) -> None:
        self.hkls = crystal.reflections(self.parameters().for_stage("hkls"))
        self.hkls = self.hkls.take(np.isin(self.hkls.integers("ring"), self.rings))
        self._measure(np.random.default_rng(self.seed))

    def text(self) -> str:
        rings = "".join(f"RingNumbers {ring}\nRingRadii {1e4 * ring}\n" for ring in self.rings)
        return (
            f"SpaceGroup {self.space_group}\nLatticeParameter {' '.join(map(str, self.cell))}\nLsd {LSD}\npx {PX}\n"
            f"Wavelength {WAVELENGTH}\nRhoD 250000\nOmegaStep {STEP}\nOmegaRange {self.omega[0]} {self.omega[1]}\n"
            f"ExcludePoleAngle {self.min_eta}\nRsample 500\nHbeam 500\nMargABC 2\nMargABG 2\n{rings}"
        )

    def parameters(self, **values: object) -> Parameters:
        lines = "".join(f"{name} {value}\n" for name, value in values.items())
        return Parameters.parse(self.text() + lines, "ps.txt")

    def model(self) -> ReflectionModel:
        region = AcceptedRegion(
            min_eta=self.min_eta, ranges=np.array([self.omega]), boxes=np.array([[-1e9, 1e9, -1e9, 1e9]])
        )
        hkl = np.array([self.hkls[name] for name in "hkl"])
        ring = self.hkls.integers("ring").astype(np.int32)
        return ReflectionModel(hkl, ring, Instrument(LSD, WAVELENGTH), region)

    def _measure(self, rng: np.random.Generator) -> None:
        cells = np.tile(self.cell, (len(self.u), 1))
        found = self.model().predicted(self.u, self.position, cells)
        seen = found.accepted & (True if self.visible is None else np.array(self.visible)[found.crystal])
        of, ring = found.crystal[seen], found.ring[seen]
        y, z, omega = (c[seen] for c in (found.y_plane, found.z_plane, found.omega_recorded))
        y, z = y + rng.normal(0, SCALES[0], len(y)), z + rng.normal(0, SCALES[0], len(z))
        omega = omega + rng.normal(0, SCALES[1], len(omega))
        for number in self.rings if self.spurious else ():
            radius = np.hypot(y, z)[ring == number].mean() + rng.normal(0, 60, self.spurious)
            eta = np.radians(rng.uniform(self.min_eta, 180 - self.min_eta, self.spurious))
            eta *= rng.choice([-1, 1], self.spurious)
            y, z = np.append(y, -radius * np.sin(eta)), np.append(z, radius * np.cos(eta))
            omega = np.append(omega, rng.uniform(*self.omega, self.spurious))
            of, ring = np.append(of, np.full(self.spurious, -1)), np.append(ring, np.full(self.spurious, number))
        omega = (omega + 180) % 360 - 180
        order = np.lexsort((omega, ring))
        self.of_spot = of[order]
        self.spots = _table(y[order], z[order], omega[order], ring[order])

    def spots_of(self, grain: int) -> list[int]:
        """Spot ids of a crystal."""
        return (np.flatnonzero(self.of_spot == grain) + 1).tolist()

    def solution(self, grain: int, seed: int = 0, *, turn: float = 0.01, shift: float = 3.0, **more: object) -> Row:
        """A solution of a crystal, a little off: turned by degrees and shifted by µm; seed 0: its first spot."""
        spots = self.spots_of(grain) or [1]
        number = seed or spots[0]
        rng = np.random.default_rng(1000 * grain + number)
        axis, way = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        u = Rotation.from_rotvec(np.radians(turn) * axis).as_matrix() @ self.u[grain]
        row = Row(number, u, self.position[grain] + shift * way, spots, self.cell)
        return row if not more else Row(**{**row.__dict__, **more})


@dataclass
class Row:
    """What the refinement found from one seed."""

    seed: int
    u: Array
    position: Array
    spots: Sequence[int]
    cell: tuple[float, ...] = NICKEL
    angle: float = 0.02
    completeness: float = 1.0


def _table(y: Array, z: Array, omega: Array, ring: Array) -> Table:
    n = len(y)
    columns: dict[str, Array] = dict.fromkeys(EXTRA_INFO.names, np.zeros(n))
    columns |= {"y_plane": y, "z_plane": z, "y_ideal": y, "z_ideal": z, "omega_recorded": omega, "omega_ideal": omega}
    columns |= {"spot_id": np.arange(1.0, n + 1), "ring": ring, "eta": np.degrees(np.arctan2(-y, z))}
    columns |= {"two_theta": np.degrees(np.arctan(np.hypot(y, z) / LSD)), "grain_radius": np.linspace(10, 20, n)}
    columns |= {"intensity": np.full(n, 100.0)}
    return EXTRA_INFO.rounded(Table.from_columns(EXTRA_INFO.names, columns))


def refined(rows: Sequence[Row | None]) -> RefinedSeeds:
    """The solutions in the form of the refinement; None is a seed without one."""
    key, fits = np.zeros((len(rows), 2), np.int32), np.zeros(len(rows), ORIENT_POS_FIT)
    counts = [0 if row is None else len(row.spots) for row in rows]
    spots = np.array([spot for row in rows if row for spot in row.spots], np.int32)
    best = np.zeros(len(spots), FIT_BEST)
    best["spot_id"], best["diff_pos"], best["diff_ome"] = spots, SCALES[0], SCALES[1]
    best["y_centred"], best["g_observed"] = 1e5, np.random.default_rng(1).normal(size=(len(spots), 3))
    for i, row in enumerate(rows):
        if row is not None:
            key[i] = row.seed, len(row.spots)
            seed = row.seed
            fits[i] = (
                *(seed, np.ravel(row.u), seed, row.position, seed, row.cell, seed),
                *(SCALES[0], SCALES[1], row.angle, 15.0, row.completeness),
            )
    return RefinedSeeds(key, fits, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), spots, best)


@dataclass
class OwnedLayer:
    """A layer folder of a sample, with rows of solutions."""

    folder: Path
    sample: Sample
    rows: Sequence[Row | None]

    def run(self, *, threads: int = 1, track: bool = False, **values: object) -> StageResult:
        self.folder.mkdir(exist_ok=True)
        self.layer = Layer(self.folder)
        seeds = [row.seed if row else 1 for row in self.rows]
        self.layer.spots_to_index.write_text("".join(f"{seed}\n" for seed in seeds))
        self.layer.paramstest.write_text(self.sample.text())
        return grains.run(
            self.layer, self.sample.parameters(**values), threads=threads, track=track, refined=refined(self.rows),
            extra_info=self.sample.spots, hkls=self.sample.hkls,
        )  # fmt: skip

    def files(self) -> dict[str, bytes]:
        names = ("Grains", "SpotMatrix", "GrainIDsKey", "SpotOwners", "GrainQuality", "SeedVerdicts")
        return {name: (self.folder / f"{name}.csv").read_bytes() for name in names}


def scattered(count: int, seed: int = 5, reach: float = 200.0) -> tuple[Array, Array]:
    """Orientations and positions of crystals anywhere."""
    rng = np.random.default_rng(seed)
    return Rotation.random(count, random_state=seed).as_matrix(), rng.uniform(-reach, reach, (count, 3))
