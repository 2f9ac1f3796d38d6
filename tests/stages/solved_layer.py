"""A small layer made by hand as the refinement leaves it, and the files that the grain stage writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from midas.formats.grains import read_grains
from midas.formats.layer import Layer
from midas.formats.refined import FIT_BEST, FIT_BEST_BYTES, ORIENT_POS_FIT, PROCESS_KEY_BYTES
from midas.formats.spots import EXTRA_INFO
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.result import StageResult
from midas.stages import grains

NAMES = ("Grains.csv", "SpotMatrix.csv", "GrainIDsKey.csv")
LSD, WAVELENGTH = 1e6, 0.22291
CELL = (4.08, 4.08, 4.08, 90.0, 90.0, 90.0)
SPACINGS = {1: 2.355589, 2: 2.04}
#: the legacy rule, since the spots of these layers fit to no crystal
GOLD = {
    "GrainMerging": "legacy",
    "SpaceGroup": 225,
    "LatticeParameter": " ".join(map(str, CELL)),
    "Wavelength": WAVELENGTH,
    "Lsd": LSD,
    "BeamThickness": 200,
    "GlobalPosition": 100,
}


def parameters(**values: object) -> Parameters:
    lines = {**GOLD, **values}
    return Parameters.parse("\n".join(f"{k} {v}" for k, v in lines.items() if v is not None), "ps.txt")


@dataclass
class Solution:
    """What the refinement found from one seed."""

    seed: int
    spots: Sequence[int]
    orientation: np.ndarray = field(default_factory=lambda: np.eye(3))
    position: tuple[float, float, float] = (0, 0, 0)
    cell: tuple[float, ...] = CELL
    angle: float = 0.05
    radius: float = 100.0
    completeness: float = 1.0


class Made:
    """A layer folder with 60 spots on two rings; spot s of a grain under the strain `strain`."""

    def __init__(self, folder: Path, *solutions: Solution | None, strain: np.ndarray | None = None):
        self.folder, self.layer = folder, Layer(folder)
        self.total = 60
        rng = np.random.default_rng(7)
        self.normals = rng.normal(size=(self.total, 3))
        self.normals /= np.linalg.norm(self.normals, axis=1, keepdims=True)
        self.rings = np.repeat([1, 2], [40, 20])
        strained = np.einsum("ni,ij,nj->n", self.normals, np.zeros((3, 3)) if strain is None else strain, self.normals)
        spacing = np.array([SPACINGS[r] for r in self.rings]) * (1 + strained)
        self.radii = LSD * np.tan(2 * np.arcsin(WAVELENGTH / 2 / spacing))
        (folder / "Results").mkdir(parents=True)
        (folder / "Output").mkdir()
        self.write_spots()
        self.write_solutions(solutions)

    def write_spots(self) -> None:
        columns = dict.fromkeys(EXTRA_INFO.names, np.linspace(1, 2, self.total))
        columns |= {"spot_id": np.arange(1.0, self.total + 1), "ring": self.rings}
        EXTRA_INFO.write(self.layer.extra_info, Table.from_columns(EXTRA_INFO.names, columns))
        self.layer.ids_hash.write_text(f"1 1 41 {SPACINGS[1]}\n2 41 61 {SPACINGS[2]}\n")

    def write_solutions(self, solutions: Sequence[Solution | None]) -> None:
        key = np.zeros((len(solutions), 2), "<i4")
        fits = np.zeros(len(solutions), ORIENT_POS_FIT)
        last = max((r for r, s in enumerate(solutions) if s), default=-1)
        with open(self.layer.process_key, "wb") as ids, open(self.layer.fit_best, "wb") as best:
            for row, s in enumerate(solutions):
                if s is None:
                    continue
                key[row] = s.seed, len(s.spots)
                fits[row] = (
                    s.seed, np.ravel(s.orientation), s.seed, s.position, s.seed, s.cell, s.seed,
                    20.0, 0.05, s.angle, s.radius, s.completeness,
                )  # fmt: skip
                ids.seek(row * PROCESS_KEY_BYTES)
                ids.write(np.array(s.spots, "<i4").tobytes())
                best.seek(row * FIT_BEST_BYTES)
                best.write(self.fit_of(s).tobytes())
        key.tofile(self.layer.key)
        fits[: last + 1].tofile(self.layer.orient_pos_fit)
        self.layer.spots_to_index.write_text("".join(f"{s.seed if s else 9}\n" for s in solutions))

    def fit_of(self, solution: Solution) -> np.ndarray:
        rows = np.array(solution.spots, int) - 1
        fit = np.zeros(len(rows), FIT_BEST)
        fit["spot_id"] = solution.spots
        fit["y_centred"] = self.radii[rows]
        fit["g_observed"] = self.normals[rows]
        return fit

    def run(self, p: Parameters | None = None, **options: object) -> StageResult:
        return grains.run(self.layer, p or parameters(), threads=1, **options)  # type: ignore[arg-type]

    def ids(self) -> list[int]:
        return read_grains(self.layer.grains).integers("GrainID").tolist()

    def key_lines(self) -> list[str]:
        return self.layer.grain_ids_key.read_text().splitlines()
