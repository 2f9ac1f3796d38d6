"""One scan analysed along other axes of its space group, and trigonal crystals, whose lattice has a six-fold axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from midas import simulation
from midas.archive import Archive
from midas.experiment.crystal import reciprocal_basis
from midas.formats.grains import CELL, GRAINS, ORIENTATION, read_grains
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.results.matching.compare import Comparison, compare
from midas.simulation import samples
from midas.stages import grains

COUNT = 3
OPTIONS = {
    "NrPixels": 256, "px": 800, "BC": (128, 128), "OmegaStep": 1, "OmegaSpread": 0.3, "Width": 900,
    "WriteAnalysisZip": 1, "WriteLegacyBins": 0,
}  # fmt: skip
#: columns: the axes of the standard cell as sums of those of the other one
C_UNIQUE = np.roll(np.eye(3), -1, axis=1)
OBVERSE = np.array([[1.0, 0, 1], [-1, 1, 1], [0, -1, 1]])


def axes_of(cell: Sequence[float]) -> np.ndarray:
    """Cell vectors in the crystal frame, as columns."""
    return np.linalg.inv(reciprocal_basis(cell)).T


def cell_of(axes: np.ndarray) -> list[float]:
    """The cell of vectors in columns, with the rounding of a user's file, in which what is equal stays equal."""
    lengths = np.linalg.norm(axes, axis=0)
    angles = [
        np.degrees(np.arccos(axes[:, i] @ axes[:, j] / lengths[i] / lengths[j])) for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    return [round(float(x), 9) for x in (*lengths, *angles)]


def simulated(folder: Path, space_group: int, cell: tuple[float, ...], **changes: object) -> tuple[Path, Path]:
    """Raw frames of a few grains, and the true ones."""
    sample = samples.Sample("", space_group, cell, samples.Grains(11, COUNT, cell, 200, (-60, 60), 5e-4).draw, OPTIONS)
    parameters = samples.write_sample(sample, folder, **changes)
    archive = simulation.run(parameters, threads=1, folder=folder).data.archive
    raw = folder / "scan_000001.h5"
    with Archive(archive) as opened, h5py.File(raw, "w") as file:
        file["exchange/data"] = np.stack([opened.frames[i] for i in range(len(opened.frames))])
    return raw, folder / samples.GRAINS_FILE


def analysed(folder: Path, raw: Path, **values: object) -> Path:
    """The grain list of an analysis with other parameters than those of the simulation."""
    folder.mkdir()
    kept = [
        line
        for line in (raw.parent / samples.PARAMETER_FILE).read_text().splitlines()
        if line.split()[0] not in {*values, "InFileName", "OutFileName", "WriteAnalysisZip", "NrPixels"}
    ]
    added = [
        f"{key} {' '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in values.items()
    ]
    (folder / "ps.txt").write_text("\n".join([*kept, *added, ""]))
    files = {"parameter_file": folder / "ps.txt", "data_file": raw, "result_folder": folder}
    layers.run(Options(**files, threads=1, per_spot_groups=0))
    return folder / "LayerNr_1" / "Grains.csv"


def along_standard_axes(found: Path, transformation: np.ndarray) -> Table:
    """The same grains with the cells and orientations of the standard setting."""
    table = read_grains(found)
    matrices = table.numbers(ORIENTATION).reshape(-1, 3, 3)
    columns = table.columns.copy()
    for grain, (u, cell) in enumerate(zip(matrices, table.numbers(CELL), strict=True)):
        axes = u @ axes_of(cell) @ transformation
        own = cell_of(axes)
        columns[[GRAINS.names.index(name) for name in CELL], grain] = own
        columns[[GRAINS.names.index(name) for name in ORIENTATION], grain] = (axes @ reciprocal_basis(own).T).ravel()
    return Table(GRAINS.names, columns)


def agree(found: Comparison, degrees: float, micrometres: float) -> None:
    assert (found.true_count, found.found_count, found.recovered, found.spurious) == (COUNT, COUNT, COUNT, 0)
    assert found.misorientation.max() < degrees
    assert found.distance.max() < micrometres


@pytest.mark.parametrize(
    ("space_group", "cell", "transformation"),
    [(4, (4.1, 3.6, 4.6, 90.0, 99.0, 90.0), C_UNIQUE), (166, (3.59, 3.59, 8.9, 90.0, 90.0, 120.0), OBVERSE)],
    ids=["unique axis", "rhombohedral axes"],
)
def test_other_axes_give_the_same_grains(
    space_group: int, cell: tuple[float, ...], transformation: np.ndarray, tmp_path: Path
) -> None:
    raw, truth = simulated(tmp_path, space_group, cell)
    standard = analysed(tmp_path / "standard", raw)
    agree(compare(truth, standard, omega_step=1), 0.05, 10)
    other = cell_of(axes_of(cell) @ np.linalg.inv(transformation))
    found = analysed(tmp_path / "other", raw, LatticeConstant=other)
    same = along_standard_axes(found, transformation)
    agree(compare(standard, same, space_group=space_group, lattice=cell), 0.01, 1)


@pytest.mark.parametrize(
    ("space_group", "cell", "changes"),
    [
        (164, (3.59, 3.59, 4.91, 90.0, 90.0, 120.0), {"Lsd": 800000, "RhoD": 100000}),
        (152, (4.913, 4.913, 5.405, 90.0, 90.0, 120.0), {"OverAllRingToIndex": 1, "RhoD": 100000}),
    ],
    ids=["P-3m1", "quartz"],
)
def test_a_trigonal_grain_is_reported_once(
    space_group: int, cell: tuple[float, ...], changes: dict[str, object], tmp_path: Path
) -> None:
    """Its spots are those of the same crystal turned by 60 degrees about c, and seeds find either of the two.

    In the field every grain of quartz was listed twice.
    """
    raw, truth = simulated(tmp_path, space_group, cell, **changes)
    found = analysed(tmp_path / "run", raw)
    agree(compare(truth, found, omega_step=1), 0.05, 10)
    found = analysed(tmp_path / "old", raw, PeakFitMethod="nm")
    parameters = Parameters.read(tmp_path / "old" / "ps.txt").changed(GrainMerging="legacy")
    old = grains.run(Layer(found.parent), parameters, threads=1)
    assert len(old.data.grains) == 2 * COUNT
