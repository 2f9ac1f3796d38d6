"""A layer of strained grains with known truth: spots of the independent tracer, noise of known size, grains refined.

The grains are those that the suite's refinement makes of the spots; nothing else of it takes part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from independent.referee.crystals import Crystal, face_centred, reflections_of
from independent.referee.instrument import Instrument
from independent.referee.tracing import Spots, trace
from scipy.spatial.transform import Rotation

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.refiner import REFINED
from midas.calibration.grains import sigma
from midas.calibration.grains.fitted import GrainTables
from midas.experiment import crystal
from midas.experiment.orientation import euler_angles
from midas.experiment.seed_fit import GrainFit, recorded_spots, reflections_in_use
from midas.formats.grains import (
    CELL,
    EULER_ANGLES,
    GRAINS,
    ORIENTATION,
    POSITION,
    SPOT_MATRIX,
    GrainsHeader,
    read_grains,
)
from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO
from midas.formats.table import Table
from midas.formats.uncertainty import GrainSigmas
from midas.parameters import Parameters

Array = np.ndarray

LSD, WAVELENGTH, PX, STEP = 1e6, 0.22291, 200.0, 0.25
NICKEL = (3.6, 3.6, 3.6, 90.0, 90.0, 90.0)
RINGS, MIN_ETA = (1, 2, 3, 4, 5), 6.0
#: names of the numbers of a grain
NUMBERS = ("X", "Y", "Z", "Rx", "Ry", "Rz", "E11", "E22", "E33", "E23", "E13", "E12")


def crystals(count: int, seed: int) -> list[Crystal]:
    """Strained nickel anywhere in a cylinder."""
    rng = np.random.default_rng(seed)
    u = Rotation.random(count, random_state=seed).as_matrix()
    position = rng.uniform(-300, 300, (count, 3)) * [1, 1, 0.3]
    strain = rng.uniform(-5e-4, 5e-4, (count, 3, 3))
    strain = (strain + strain.swapaxes(1, 2)) / 2
    return [Crystal(NICKEL, *one) for one in zip(u, position, strain, strict=True)]


@dataclass
class NoisyLayer:
    """A layer folder of grains whose spots have noise.

    Parameters
    ----------
    radial, tangential, omega : standard deviations, µm and degrees
    single : part of the spots that are in one frame, the middle of which is their angle
    outliers : part of the spots that are displaced by pixels and degrees
    rotation : lowest and highest omega
    tilts, wedge : of the detector and the axis, degrees
    """

    folder: Path
    grains: int = 30
    seed: int = 1
    radial: float = 10.0
    tangential: float = 20.0
    omega: float = 0.02
    single: float = 0.4
    outliers: float = 0.05
    rotation: tuple[float, float] = (-180.0, 180.0)
    tilts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wedge: float = 0.0
    keys: str = ""
    truth: list[Crystal] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.layer, self.truth = Layer(self.folder), crystals(self.grains, self.seed)
        self.layer.paramstest.write_text(self.text())
        hkls = crystal.reflections(self.parameters().for_stage("hkls"))
        self.hkls = hkls.take(np.isin(hkls.integers("ring"), RINGS))
        self._measure(np.random.default_rng(self.seed))
        self._refine()

    def text(self) -> str:
        rings = "".join(f"RingNumbers {ring}\nRingRadii {1e4 * ring}\n" for ring in RINGS)
        names = dict(zip(("tx", "ty", "tz"), self.tilts, strict=True))
        tilts = "".join(f"{name} {value}\n" for name, value in names.items())
        return (
            f"SpaceGroup 225\nLatticeParameter {' '.join(map(str, NICKEL))}\nLsd {LSD}\npx {PX}\n"
            f"Wavelength {WAVELENGTH}\nRhoD 250000\nOmegaStep {STEP}\nExcludePoleAngle {MIN_ETA}\nRsample 2000\n"
            f"Hbeam 4000\nMargABC 2\nMargABG 2\nWedge {self.wedge}\n{tilts}{rings}{self.keys}"
        )

    def parameters(self) -> Parameters:
        return Parameters.parse(self.text(), self.layer.paramstest)

    def _measure(self, rng: np.random.Generator) -> None:
        instrument = Instrument(
            lsd=LSD, beam_centre=(0.0, 0.0), px=PX, rho_d=2.5e5, wavelength=WAVELENGTH, tilts=self.tilts,
            wedge=self.wedge,
        )  # fmt: skip
        hkl = reflections_of(NICKEL, self.hkls["d_spacing"].min() - 1e-4, face_centred)
        spots = trace(self.truth, hkl, instrument)
        beside = np.minimum(np.abs(spots.eta), 180 - np.abs(spots.eta)) > MIN_ETA
        spots = spots.take(beside & (spots.omega >= self.rotation[0]) & (spots.omega < self.rotation[1]))
        detector = midas_detector(self.parameters())
        y, z = detector.plane(spots.y_px, spots.z_px)
        self.spots = self._table(spots, hkl, y, z, rng)

    def _table(self, spots: Spots, hkl: Array, y: Array, z: Array, rng: np.random.Generator) -> Table:
        n = len(spots)
        out = rng.random(n) < self.outliers
        radius = np.hypot(y, z)
        r, t = rng.normal(0, self.radial, n), rng.normal(0, self.tangential, n)
        r[out] += rng.uniform(-5, 5, out.sum()) * PX
        t[out] += rng.uniform(-5, 5, out.sum()) * PX
        omega = spots.omega + rng.normal(0, self.omega, n)
        omega[out] += rng.uniform(-1, 1, out.sum())
        single = rng.random(n) < self.single
        omega[single] = spots.omega[single] + rng.uniform(-0.5, 0.5, single.sum()) * STEP
        self.frames = np.where(single, 1, 3)
        self.of_spot = spots.crystal
        length2 = (hkl[spots.reflection] ** 2).sum(axis=1)
        ring_of = {
            int(h * h + k * k + m * m): ring
            for h, k, m, ring in zip(*(self.hkls[name] for name in "hkl"), self.hkls.integers("ring"), strict=True)
        }
        columns: dict[str, Array] = dict.fromkeys(EXTRA_INFO.names, np.ones(n))
        columns |= {"y_plane": y + (r * y - t * z) / radius, "z_plane": z + (r * z + t * y) / radius}
        columns |= {"omega_recorded": (omega + 180) % 360 - 180, "spot_id": np.arange(1.0, n + 1)}
        columns |= {"ring": np.array([ring_of[int(round(one))] for one in length2])}
        return EXTRA_INFO.rounded(Table.from_columns(EXTRA_INFO.names, columns))

    def _refine(self) -> None:
        """Every grain fitted to its spots from a start beside the truth, and the layer's tables."""
        settings = self.parameters().for_stage("refinement")
        region = AcceptedRegion(
            min_eta=0.0, ranges=np.array([[-180.0, 180.0]]), boxes=np.array([[-1e9, 1e9, -1e9, 1e9]])
        )
        reflections, rings = reflections_in_use(self.layer, settings, self.hkls)
        refiner = GrainFit.of(settings, region, reflections).refiner(recorded_spots(self.spots, rings))
        offsets = np.searchsorted(self.of_spot, np.arange(self.grains + 1)).astype(np.int64)
        u = np.array([one.orientation for one in self.truth]).reshape(-1, 9)
        position = np.array([one.position for one in self.truth])
        found, _, _, status = refiner.refine(u, position, offsets, np.arange(len(self.spots)), 1)
        assert (status == REFINED).all()
        columns: dict[str, Array] = dict.fromkeys(GRAINS.names, np.ones(self.grains))
        for names, values in ((ORIENTATION, "orientation"), (POSITION, "position"), (CELL, "cell")):
            columns |= dict(zip(names, found[values].T, strict=True))
        columns |= {"GrainID": offsets[:-1] + 1.0}
        columns |= dict(zip(EULER_ANGLES, euler_angles(found["orientation"].reshape(-1, 3, 3)).T, strict=True))
        self.found = Table.from_columns(GRAINS.names, columns)
        header = GrainsHeader(self.grains, 0.0, 0.0, 0.0, 1, 225, NICKEL).text()
        self.layer.grains.write_bytes(GRAINS.format(self.found, header=header))
        matrix: dict[str, Array] = dict.fromkeys(SPOT_MATRIX.names, np.ones(len(self.spots)))
        matrix |= {"GrainID": columns["GrainID"][self.of_spot], "SpotID": self.spots["spot_id"]}
        SPOT_MATRIX.write(self.layer.spot_matrix, Table.from_columns(SPOT_MATRIX.names, matrix))
        EXTRA_INFO.write(self.layer.extra_info, self.spots)

    def tables(self) -> GrainTables:
        """What its sigmas come from."""
        return GrainTables(
            read_grains(self.layer.grains), SPOT_MATRIX.read(self.layer.spot_matrix), self.spots, frames=self.frames
        )

    def sigmas(self) -> GrainSigmas:
        """How well its grains are known, frames and all; writes the files."""
        return sigma.run(self.layer, self.parameters(), tables=self.tables()).data.sigmas

    def errors(self) -> Array:
        """(n, 12) found minus true: µm, degrees, 1e-6."""
        result = np.empty((self.grains, 12))
        for row, true in enumerate(self.truth):
            u = np.array([self.found[name][row] for name in ORIENTATION]).reshape(3, 3)
            cell = [self.found[name][row] for name in CELL]
            ub = u @ crystal.reciprocal_basis(cell)
            # What turns and stretches the true lattice into the found one: (1 + strain) R.
            ratio = np.linalg.inv(true.lattice()).T @ np.linalg.inv(ub)
            left, sizes, right = np.linalg.svd(ratio)
            strain = 1e6 * (left * sizes @ left.T - np.eye(3))
            result[row, :3] = [self.found[name][row] for name in POSITION] - true.position
            result[row, 3:6] = -Rotation.from_matrix(left @ right).as_rotvec(degrees=True)
            result[row, 6:] = strain[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        return result


def midas_detector(parameters: Parameters):  # type: ignore[no-untyped-def]
    """The detector that the parameters describe, with the beam at pixel (0, 0)."""
    from midas.experiment import DetectorGeometry

    own = parameters.changed(BC=(0.0, 0.0)).for_stage("sigma")
    return DetectorGeometry.from_parameters(own)
