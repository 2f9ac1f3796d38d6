"""Mosaic crystals (docs/theory/resolving.md#mosaic-crystals): pieces whose orientations are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas.experiment.orientation import quaternions_from_matrices, symmetry_operators
from midas.stages.grains.mosaic import Fragments, spreads
from midas.stages.grains.orientation_families import families_by_intensity, families_by_shift

from .owned_layer import OwnedLayer, Sample, scattered
from .test_resolving import words

#: rotation vectors of the pieces of a crystal, degrees; their mean is 0
PIECES = np.array([[0.0, 0, 0], [0.8, 0, 0], [-0.8, 0, 0], [0, 0.7, 0], [0, -0.7, 0], [0, 0, 0.6], [0, 0, -0.6]])


def broken(count: int = 2) -> Sample:
    """Crystals in pieces of one position."""
    u, position = scattered(count)
    pieces = Rotation.from_rotvec(np.radians(PIECES)).as_matrix()
    return Sample(
        np.concatenate([pieces @ one for one in u]), np.repeat(position, len(PIECES), axis=0), omega=(-180.0, 180.0)
    )


@pytest.fixture(scope="module")
def sample() -> Sample:
    return broken()


def test_pieces_are_one_grain_at_the_mean(sample: Sample, tmp_path: Path) -> None:
    rows = [sample.solution(g) for g in range(len(sample.u))]
    assert len(OwnedLayer(tmp_path, sample, rows).run().data.grains) == len(rows)
    result = OwnedLayer(tmp_path, sample, rows).run(GrainMerging="mosaic")
    grains, quality = result.data.grains, result.data.grain_quality
    assert len(grains) == 2
    assert words(result).count("fragment") == len(rows) - 2
    u = np.stack([grains[f"O{i}{j}"] for i in (1, 2, 3) for j in (1, 2, 3)], axis=1).reshape(-1, 3, 3)
    for i, centre in enumerate((0, len(PIECES))):
        assert np.degrees(Rotation.from_matrix(u[i] @ sample.u[centre].T).magnitude()) < 0.05
        position = [grains[axis][i] for axis in "XYZ"]
        assert np.linalg.norm(position - sample.position[centre]) < 15
    assert quality["SharpCompleteness"].min() > 0.95
    # Of equal weights: the sums of the squares along x, y, z over the seven pieces.
    widths = np.sqrt((PIECES**2).sum(axis=0) / len(PIECES))
    np.testing.assert_allclose(quality["Spread"], np.linalg.norm(widths), rtol=0.1)
    for k, width in enumerate(np.sort(widths)[::-1], 1):
        np.testing.assert_allclose(quality[f"FWHM{k}"], 2.3548 * width, rtol=0.15)


def test_every_piece_is_listed_once_with_its_grain(sample: Sample, tmp_path: Path) -> None:
    rows = [sample.solution(g) for g in range(len(sample.u))]
    result = OwnedLayer(tmp_path, sample, rows).run(GrainMerging="mosaic")
    matrix, owners = result.data.spot_matrix, result.data.spot_owners
    owned = owners["GrainID"] > 0
    assert owned.mean() > 0.95
    assert len(np.unique(matrix["SpotID"])) == len(matrix) == owned.sum()
    assert (owners["GrainID"][matrix.integers("SpotID") - 1] == matrix["GrainID"]).all()
    # All pieces of a reflection have the strain of the spot that they make.
    names = np.stack([owners[name] for name in ("GrainID", "h", "k", "l", "Branch")])[:, matrix.integers("SpotID") - 1]
    _, of = np.unique(names, axis=1, return_inverse=True)
    errors = [np.ptp(matrix["StrainError"][of.ravel() == i]) for i in range(of.max() + 1)]
    assert max(errors) == 0


def test_a_sharp_crystal_stays_as_it_is(tmp_path: Path) -> None:
    sample = Sample(*scattered(2))
    layer = OwnedLayer(tmp_path, sample, [sample.solution(g) for g in range(2)])
    layer.run()
    files = layer.files()
    result = layer.run(GrainMerging="mosaic")
    assert layer.files()["GrainIDsKey"] == files["GrainIDsKey"]
    assert result.data.grain_quality["Spread"].max() < 1e-6


def test_families_gather_where_the_density_is_highest() -> None:
    """A chain of orientations that a brighter one at its end would cut in two."""
    angles = np.array([0.0, 0.9, 1.8, 2.7, 40.0])
    q = quaternions_from_matrices(Rotation.from_rotvec(np.radians(angles[:, None] * [[0, 0, 1]])).as_matrix())
    operators = symmetry_operators(225)
    intensity = np.array([3.0, 2.0, 2.0, 2.0, 1.0])
    assert families_by_intensity(q, intensity, operators, 2.5).tolist() == [0, 0, 0, 3, 4]
    assert families_by_shift(q, intensity, operators, 2.5).tolist() == [0, 0, 0, 0, 4]
    turned = q.copy()
    turned[1] = [q[1, 3] * -1, *q[1, [2, 1]] * [1, -1], q[1, 0]]  # a half turn about z, an operator of the cube
    assert families_by_shift(turned, intensity, operators, 2.5).tolist() == [0, 0, 0, 0, 4]
    assert families_by_shift(q[:0], intensity[:0], operators, 2.5).tolist() == []


def test_spread_of_known_rotations() -> None:
    rng = np.random.default_rng(4)
    covariance = np.array([[0.5, 0.1, 0], [0.1, 0.3, -0.05], [0, -0.05, 0.2]])
    turns = rng.multivariate_normal(np.zeros(3), covariance, 4000)
    g = rng.normal(size=(6, 3))
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    moved = np.concatenate([Rotation.from_rotvec(np.radians(turns)).apply(one) for one in g])
    reflection = np.repeat(np.arange(6), len(turns))
    zeros = np.zeros(len(moved), np.int64)
    pieces = Fragments(zeros, np.arange(len(moved)), reflection, zeros.astype(np.int8), moved, reflection)
    found = spreads(pieces, np.ones(len(moved)), 2)
    widths = np.sqrt(np.linalg.eigvalsh(covariance)[::-1])
    np.testing.assert_allclose(found[0], [np.sqrt(np.trace(covariance)), *2.3548 * widths], rtol=0.03)
    assert np.isnan(found[1]).all()
