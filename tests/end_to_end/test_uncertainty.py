"""Sigmas of grains against the truth of a simulated scan, through the whole pipeline (docs/theory/uncertainty.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas import simulation
from midas.calibration import sigma_of_grains
from midas.experiment.crystal import reciprocal_basis
from midas.experiment.orientation import nearest_rotations
from midas.formats.grains import CELL, ORIENTATION, POSITION, read_grains
from midas.formats.simulated import GRAIN_LIST
from midas.formats.table import Table
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.simulation import samples

STEP = 0.5
#: names of the numbers of a grain
NUMBERS = ("X", "Y", "Z", "Rx", "Ry", "Rz", "E11", "E22", "E33", "E23", "E13", "E12")

Array = np.ndarray


def lattices(grains: Table) -> tuple[Array, Array]:
    """U·B and position."""
    u = nearest_rotations(grains.numbers(ORIENTATION).reshape(-1, 3, 3))
    basis = np.array([reciprocal_basis(cell) for cell in grains.numbers(CELL)])
    return u @ basis, grains.numbers(POSITION)


def error_of(found: Array, true: Array) -> Array | None:
    """Rotation (degrees) and strain (1e-6) from a true to a found lattice; None where they are not one."""
    indices = np.linalg.solve(true, found)
    if np.abs(indices - np.rint(indices)).max() > 0.02:
        return None
    stretch = np.linalg.inv(found).T @ (true @ np.rint(indices)).T
    left, sizes, right = np.linalg.svd(stretch)
    strain = 1e6 * (left * sizes @ left.T - np.eye(3))
    turn = Rotation.from_matrix(left @ right).as_rotvec(degrees=True)
    return np.concatenate([turn, strain[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]])


def errors_in_sigmas(folder: Path, seed: int) -> Array:
    """(grains, 12) of a hundred grains on 360 frames with background and counting noise, spots over several frames."""
    changes: dict[str, Any] = {
        "OmegaSpread": 0.3,
        "Background": 20,
        "Noise": "poisson",
        "RandomSeed": seed,
        "WriteAnalysisZip": 1,
        "WriteLegacyBins": 0,
    }
    changes |= {"RingThresh": [(ring, 50) for ring in range(1, 6)]}
    parameter_file = samples.write("ds1", folder, **changes)
    archive = simulation.run(parameter_file, threads=2, folder=folder).data.archive
    options = Options(parameter_file=parameter_file, data_file=archive, result_folder=folder, threads=2, convert=False)
    layer = layers.run(options).data[0].layer
    grains, truth = read_grains(layer.grains), GRAIN_LIST.read(folder / samples.SAMPLES["ds1"].truth_file)
    half = Rotation.from_euler("z", STEP / 2, degrees=True).as_matrix()  # frames are named by their beginning
    found, positions = lattices(grains)
    true, places = lattices(truth)
    errors = []
    for ub, position in zip(found, positions, strict=True):
        nearest = int(np.argmin(np.linalg.norm(places @ half.T - position, axis=1)))
        error = error_of(ub, half @ true[nearest])
        assert error is not None
        errors.append(np.concatenate([position - half @ places[nearest], error]))
    sigmas = sigma_of_grains(layer)
    in_sigmas: Array = np.array(errors) / np.sqrt(np.diagonal(sigmas.covariance, axis1=1, axis2=2))
    return in_sigmas


@pytest.mark.long
def test_errors_have_the_size_of_their_sigmas(tmp_path: Path) -> None:
    """Three draws of the noise: a hundred grains tell a spread to 7 % only."""
    draws = []
    for seed in range(3):
        (folder := tmp_path / str(seed)).mkdir()
        draws.append(errors_in_sigmas(folder, seed))
    z = np.concatenate(draws)
    spread = dict(zip(NUMBERS, z.std(axis=0).round(2), strict=True))
    print(f"{len(z)} grains: {spread}, {100 * (np.abs(z) > 3).mean():.2f} % beyond 3")
    assert all(0.85 <= one <= 1.3 for one in spread.values()), spread
    assert 0.9 <= np.mean(list(spread.values())) <= 1.1, spread
    assert (np.abs(z) > 3).mean() < 0.02
