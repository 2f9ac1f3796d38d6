"""A layer folder with strained grains: ``Grains.csv``, and ``GrainsSigma.csv`` where it is wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas.formats.grains import FABLE, GRAINS, KENESEI, ORIENTATION, GrainsHeader
from midas.formats.table import Table
from midas.formats.uncertainty import SIGMA_NAMES, STRAIN, GrainSigmas, sigma_table
from midas.results.stress import tensors
from midas.results.stress.grains import StrainedGrains

NICKEL_CELL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)


def write_layer(
    folder: Path,
    grains: StrainedGrains,
    *,
    space_group: int = 225,
    cell: tuple[float, ...] = NICKEL_CELL,
    sigmas: bool = True,
    cell_strain: float = 1.0,
) -> Path:
    """Write it; the strain from the cell is `cell_strain` times that from the spots."""
    folder.mkdir(parents=True, exist_ok=True)
    n = len(grains)
    table = Table(GRAINS.names, np.zeros((len(GRAINS.names), n)))
    table["GrainID"][:] = grains.ids
    strains = tensors.from_mandel(grains.strains).reshape(n, 9)
    for k in range(9):
        table[ORIENTATION[k]][:] = grains.orientations.reshape(n, 9)[:, k]
        table[KENESEI[k]][:] = strains[:, k]
        table[FABLE[k]][:] = cell_strain * strains[:, k]
    for name, value in zip(("a", "b", "c", "alpha", "beta", "gamma"), cell, strict=True):
        table[name][:] = value
    table["GrainRadius"][:] = grains.radii
    table["Confidence"][:] = 1.0
    table["PhaseNr"][:] = 1
    header = GrainsHeader(n, 0.0, 200.0, 0.0, 1, space_group, cell).text()
    GRAINS.write(folder / "Grains.csv", table, header=header)
    if sigmas:
        write_sigmas(folder, grains)
    return folder


def write_sigmas(folder: Path, grains: StrainedGrains) -> None:
    """Standard deviations of the strains, and nothing else that would be looked at."""
    values = np.ones((len(grains), len(SIGMA_NAMES)))
    deviations = np.sqrt(np.diagonal(grains.covariances, axis1=1, axis2=2)) / tensors.FACTORS
    for k, name in enumerate(STRAIN):
        values[:, SIGMA_NAMES.index(f"s{name}")] = deviations[:, k]
    table = sigma_table(grains.ids.astype(float), values)
    found = GrainSigmas(table, np.empty((0, 12, 12)), (1.0, 1.0, 1.0), (), (), (), "exact")
    (folder / "GrainsSigma.csv").write_bytes(found.format())
