"""Results as the figures need them, without files: any number of grains, seeded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from midas.experiment.orientation import symmetry_operators
from midas.formats.table import Table
from midas.results.columns import GRAIN_DTYPE, SPOT_DTYPE

NICKEL = (225, (3.6, 3.6, 3.6, 90.0, 90.0, 90.0))
_SIGMAS = ("sX", "sY", "sZ", "sRx", "sRy", "sRz", "sE11", "sE12", "sE13", "sE22", "sE23", "sE33")
_SPOTS = 12


class MadeResults:
    """What `midas.results.reading.Results` offers to figures."""

    def __init__(self, n: int, crystal: tuple[int, tuple[float, ...]] = NICKEL, sigma: bool = True, seed: int = 1):
        rng = np.random.default_rng(seed)
        self.space_group, self.cell = crystal
        self.operators = symmetry_operators(*crystal)
        self.parameters: dict[str, Any] = {}
        self.grains = np.zeros(n, GRAIN_DTYPE)
        self.grains["grain_id"] = 7 + 3 * np.arange(n)
        self.grains["orientation"] = Rotation.random(n, rng=rng).as_matrix() if n else np.zeros((0, 3, 3))
        self.grains["position"] = rng.uniform(-1, 1, (n, 3)) * [500, 500, 60]
        self.grains["radius"] = rng.lognormal(3, 0.4, n)
        self.grains["completeness"] = rng.uniform(0.8, 1, n)
        self.grains["phase"] = 1
        strain = rng.normal(0, 400, (n, 3, 3))
        self.grains["strain"] = (strain + strain.transpose(0, 2, 1)) / 2
        for name in ("rms_strain_error", "diff_pos", "diff_ome", "diff_angle"):
            self.grains[name] = rng.uniform(1, 2, n)
        self.spot_starts = _SPOTS * np.arange(n + 1)
        self.spots = np.zeros(n * _SPOTS, SPOT_DTYPE)
        self.spots["grain_id"] = np.repeat(self.grains["grain_id"], _SPOTS)
        self.spots["spot_id"] = 1 + np.arange(len(self.spots))
        self.spots["ring"] = rng.integers(1, 5, len(self.spots))
        self.spots["eta"] = rng.uniform(-180, 180, len(self.spots))
        self.spots["omega"] = self.spots["omega_recorded"] = rng.uniform(-90, 90, len(self.spots))
        self.spots["y_ideal"], self.spots["z_ideal"] = rng.uniform(-2e5, 2e5, (2, len(self.spots)))
        self.spots["y_recorded"], self.spots["z_recorded"] = rng.uniform(0, 2048, (2, len(self.spots)))
        self.spots["strain_error"] = rng.normal(0, 1e-4, len(self.spots))
        self.sigma = None
        if sigma:
            values = rng.uniform(0.5, 1.5, (1 + len(_SIGMAS), n))
            values[0] = self.grains["grain_id"]
            self.sigma = Table(("GrainID", *_SIGMAS), values)

    def __len__(self) -> int:
        return len(self.grains)

    def __iter__(self) -> Any:
        for row, grain in enumerate(self.grains):
            spots = self.spots[self.spot_starts[row] : self.spot_starts[row + 1]]
            yield SimpleNamespace(id=int(grain["grain_id"]), row=row, spots=spots, stress=isotropic(grain["strain"]))


def isotropic(strain: Any) -> Any:
    """Stress of a material whose stiffness is a multiple of the identity."""
    return lambda stiffness: 1e-3 * stiffness[0][0] * strain
