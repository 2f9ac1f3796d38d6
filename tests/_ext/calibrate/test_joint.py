"""The joint fit's residuals against an independent ray tracer, its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest
from grain_spots import GrainSpots, crystals_of, grain_spots, numbers_of

from midas._ext.calibrate.joint import CONSTANTS, GRAIN_COLUMNS, PARAMETERS, Joint

M = len(PARAMETERS)
NO_PANELS = np.empty((0, 2))
NONE = np.empty(0, np.int32)
#: of differences: µm, px, px, degrees, -, degrees, Å, µm
STEPS = np.array([50, 0.1, 0.1, 1e-3, 1e-3, 1e-3, *[1e-5] * 4, 1e-3, 1e-3, 1e-6, *[0.1] * 10])


@pytest.fixture(scope="module")
def spots() -> GrainSpots:
    return grain_spots(crystals_of(3, seed=5))


def joint_of(spots: GrainSpots, panel: np.ndarray | None = None, detector: np.ndarray | None = None) -> Joint:
    n = len(spots.omega)
    panel = np.full(n, -1) if panel is None else panel
    detector = np.zeros(n) if detector is None else detector
    return Joint(
        *(spots.first, spots.pixels, spots.omega, spots.hkl, spots.branch, spots.radial),
        *(detector.astype(np.int32), panel.astype(np.int32)),
    )


def matrices(spots: GrainSpots) -> np.ndarray:
    return np.ascontiguousarray(spots.ub.reshape(-1, 9))


def changed(ub: np.ndarray, column: int, step: float) -> np.ndarray:
    """U·B of all grains after a step of a rotation or a strain."""
    k = column - 3
    if k < 3:
        a = np.zeros(3)
        a[k] = np.radians(step)
        cross = np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
        turn = np.eye(3) + cross + 0.5 * cross @ cross
    else:
        i, j = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)][k - 3]
        e = np.zeros((3, 3))
        e[i, j] = e[j, i] = 1e-6 * step
        turn = np.linalg.inv(np.eye(3) + e)
    return np.ascontiguousarray((turn @ ub.reshape(-1, 3, 3)).reshape(-1, 9))


def test_spots_of_the_ray_tracer_have_no_residual(spots: GrainSpots) -> None:
    state = numbers_of(spots.instrument)[None], NO_PANELS, matrices(spots), spots.positions
    residual = joint_of(spots).residuals(*state)
    assert len(spots.omega) > 120
    assert np.abs(residual[:2]).max() < 1e-6
    assert np.abs(residual[2]).max() < 1e-9


@pytest.mark.parametrize(("exact_wedge", "exact_tilts"), [(1, 1), (1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize(("wedge", "tilts"), [(0.0, (0, 0, 0)), (0.5, (0.2, 0.3, -0.25)), (-2.0, (10, 5, -6))])
def test_derivatives(
    spots: GrainSpots, wedge: float, tilts: tuple[float, float, float], exact_wedge: int, exact_tilts: int
) -> None:
    numbers = numbers_of(spots.instrument)[None].copy()
    numbers[0, 3:6], numbers[0, 10], numbers[0, 11] = tilts, wedge, 0.1
    numbers[0, 13:23] = np.arange(1, 11)
    numbers[0, 25:] = exact_wedge, exact_tilts
    panel = (spots.pixels[0] > 512).astype(int)
    shifts = np.array([[0.3, -0.2], [-0.1, 0.4]])
    joint = joint_of(spots, panel)
    columns = np.arange(M, dtype=np.int32)[None]
    ub = matrices(spots)
    jacobian = joint.jacobian(numbers, shifts, ub, spots.positions, columns, np.array([M, M + 2], np.int32), M + 4)

    def at(numbers=numbers, shifts=shifts, ub=ub, positions=spots.positions) -> np.ndarray:
        return joint.residuals(numbers, shifts, ub, positions)

    def check(name: str, column: int, higher: np.ndarray, lower: np.ndarray, step: float) -> None:
        difference = higher - lower
        difference[2] = (difference[2] + 180) % 360 - 180
        difference /= 2 * step
        for row in range(3):
            largest = max(np.abs(jacobian[row, :, column]).max(), 1e-9 / step)
            assert np.abs(jacobian[row, :, column] - difference[row]).max() < 1e-6 * largest + 2e-10 / step, (name, row)

    for k in range(3):
        step = np.zeros(3)
        step[k] = 1.0
        check("XYZ"[k], k, at(positions=spots.positions + step), at(positions=spots.positions - step), 1.0)
    for k in range(3, 12):
        step = 1e-3 if k < 6 else 10.0
        check(GRAIN_COLUMNS[k], k, at(ub=changed(ub, k, step)), at(ub=changed(ub, k, -step)), step)
    for k in range(M):
        step = np.zeros(M + len(CONSTANTS))
        step[k] = STEPS[k]
        check(PARAMETERS[k], 12 + k, at(numbers + step), at(numbers - step), STEPS[k])
    for k in range(4):
        step = np.zeros(4)
        step[k] = 0.1
        step = step.reshape(2, 2)
        check(f"panel {k}", 12 + M + k, at(shifts=shifts + step), at(shifts=shifts - step), 0.1)


def test_sums_are_those_of_the_jacobian_for_any_threads(spots: GrainSpots) -> None:
    """Two detectors that share the wedge, panels on one of them."""
    numbers = np.repeat(numbers_of(spots.instrument)[None], 2, axis=0)
    numbers[1, :3] += 1000, 1, -1
    detector = np.arange(len(spots.omega)) % 2
    panel = np.where(detector == 1, (spots.pixels[1] > 512).astype(int), -1)
    order = np.concatenate(
        [a + np.lexsort((panel[a:b], detector[a:b])) for a, b in zip(spots.first, spots.first[1:], strict=False)]
    )
    columns = np.full((2, M), -1, np.int32)
    columns[0, [0, 1, 2, 10]] = 0, 1, 2, 3
    columns[1, [10, 0, 4]] = 3, 4, 5
    panel_columns = np.array([-1, 6], np.int32)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, (3, len(order)))
    weights[:, ::7] = 0.0
    joint = Joint(
        *(spots.first, np.ascontiguousarray(spots.pixels[:, order]), spots.omega[order]),
        *(np.ascontiguousarray(spots.hkl[:, order]), spots.branch[order]),
        np.ascontiguousarray(spots.radial[:, order]),
        *(detector[order].astype(np.int32), panel[order].astype(np.int32)),
    )
    state = numbers, np.zeros((2, 2)), matrices(spots), spots.positions
    sums = joint.normal_equations(*state, columns, panel_columns, 8, weights)
    jacobian = joint.jacobian(*state, columns, panel_columns, 8)
    residual = joint.residuals(*state)
    a, b, gradient, n, n_gradient = sums
    for g, (start, stop) in enumerate(zip(spots.first, spots.first[1:], strict=False)):
        j = jacobian[:, start:stop].reshape(-1, 20)
        w = weights[:, start:stop].ravel()
        full = j.T @ (w[:, None] * j)
        np.testing.assert_allclose(a[g], full[:12, :12], rtol=1e-9, atol=1e-9 * np.abs(full[:12, :12]).max())
        np.testing.assert_allclose(b[g], full[:12, 12:], rtol=1e-9, atol=1e-9 * np.abs(full[:12, 12:]).max())
        np.testing.assert_allclose(gradient[g], j[:, :12].T @ (w * residual[:, start:stop].ravel()), rtol=1e-7)
    j, w = jacobian.reshape(-1, 20)[:, 12:], weights.ravel()
    np.testing.assert_allclose(n, j.T @ (w[:, None] * j), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(n_gradient, j.T @ (w * residual.ravel()), rtol=1e-7)
    for threads in (2, 3):
        again = joint.normal_equations(*state, columns, panel_columns, 8, weights, threads)
        assert all(np.array_equal(one, two) for one, two in zip(sums, again, strict=True))
        assert np.array_equal(residual, joint.residuals(*state, threads))


def test_no_instrument_columns(spots: GrainSpots) -> None:
    state = numbers_of(spots.instrument)[None], NO_PANELS, matrices(spots), spots.positions
    columns = np.full((1, M), -1, np.int32)
    a, b, _, n, _ = joint_of(spots).normal_equations(*state, columns, NONE, 0, np.ones((3, len(spots.omega))))
    assert b.shape == (3, 12, 0)
    assert n.shape == (0, 0)
    assert np.linalg.eigvalsh(a / np.sqrt(np.einsum("gi,gj->gij", *[np.einsum("gii->gi", a)] * 2))).min() > 1e-6


def test_lengths_are_checked(spots: GrainSpots) -> None:
    state = numbers_of(spots.instrument)[None], NO_PANELS, matrices(spots), spots.positions
    joint = joint_of(spots)
    weights = np.ones((3, joint.spots))
    with pytest.raises(ValueError, match="beyond m"):
        joint.normal_equations(*state, np.full((1, M), 2, np.int32), NONE, 2, weights)
    with pytest.raises(ValueError, match="27 numbers"):
        joint.residuals(np.zeros((1, 26)), *state[1:])
    with pytest.raises(ValueError, match="a row per panel"):
        joint_of(spots, np.zeros(joint.spots)).residuals(*state)
    with pytest.raises(ValueError, match="weights"):
        joint.normal_equations(*state, np.full((1, M), -1, np.int32), NONE, 0, weights[:2])
