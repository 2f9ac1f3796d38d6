"""A layer made by hand as the indexing leaves it, and the files that the refinement writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from simulated_grains import Experiment, Grains, Spots, simulate

from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.index import BEST, SLOT
from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO_BINARY
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.result import StageResult
from midas.stages import refinement

FILES = ("Results/Key.bin", "Results/OrientPosFit.bin", "Results/ProcessKey.bin", "Output/FitBest.bin")
EXPERIMENT = Experiment()
PARAMETERS = """LatticeParameter 4.08 4.08 4.08 90 90 90
Wavelength 0.22291
Distance 1000000
MaxRingRad 204800
Rsample 2000
Hbeam 2000
px 200
ExcludePoleAngle 5
MargABC 4.8
MargABG 4.8
RingNumbers 1
RingNumbers 2
RingNumbers 3
RingNumbers 4
RingNumbers 5
"""


def contents(folder: Path) -> list[bytes | None]:
    return [(folder / name).read_bytes() if (folder / name).exists() else None for name in FILES]


class Made:
    """Four simulated grains, one seed each, as the earlier stages would have left them."""

    def __init__(self, folder: Path, n: int = 4):
        self.folder, self.layer = folder, Layer(folder)
        self.grains = Grains.random(3, n, EXPERIMENT)
        self.spots = simulate(EXPERIMENT, self.grains.orientations, self.grains.positions, self.grains.cells)
        self.lists = [self.spots.of(i) + 1 for i in range(n)]
        self.ids = [int(rows[0]) for rows in self.lists]
        self.parameters = PARAMETERS
        self.write()

    def write(self) -> None:
        self.layer.output.mkdir(exist_ok=True)
        hkl, first = EXPERIMENT.reflections()
        theta = np.degrees(np.arcsin(0.22291 / 2 * np.linalg.norm(hkl, axis=0) / 4.08))
        columns = dict.fromkeys(HKLS.names, np.zeros(len(theta)))
        columns |= dict(zip("hkl", hkl, strict=True))
        columns |= {"ring": np.repeat(np.arange(1, len(first)), np.diff(first)), "theta": theta}
        HKLS.write(self.layer.hkls, Table.from_columns(HKLS.names, columns))
        self.table().columns.T.astype("<f8").tofile(self.layer.extra_info_binary)
        best = np.zeros(len(self.lists), BEST)
        best["orientation"], best["position"] = self.grains.start_orientations, self.grains.start_positions
        best["expected"] = best["matched"] = [len(rows) for rows in self.lists]
        best.tofile(self.layer.index_best)
        full = np.zeros((len(best), SLOT, 2))
        for row, ids in enumerate(self.lists):
            full[row, : min(len(ids), SLOT)] = np.stack([ids, np.full(len(ids), 40.0)], axis=1)[:SLOT]
        full.tofile(self.layer.index_best_full)
        self.layer.spots_to_index.write_text("".join(f"{i}\n" for i in self.ids))
        self.layer.paramstest.write_text(self.parameters)

    def table(self) -> Table:
        spots: Spots = self.spots
        columns = dict.fromkeys(EXTRA_INFO_BINARY, np.zeros(len(spots)))
        columns |= {"y_ideal": spots.y_plane, "z_ideal": spots.z_plane, "omega_ideal": spots.omega_ideal}
        columns |= {name: getattr(spots, name) for name in ("y_plane", "z_plane", "omega_recorded")}
        columns |= {"spot_id": np.arange(1.0, len(spots) + 1), "ring": spots.group + 1.0}
        return Table.from_columns(EXTRA_INFO_BINARY, columns)

    def run(self, **more: object) -> StageResult:
        parameters = Parameters.read(self.layer.paramstest, "paramstest")
        return refinement.run(self.layer, parameters, threads=1, **more)  # type: ignore[arg-type]
