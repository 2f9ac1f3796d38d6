"""The robust loss against outliers, noise and omegas of whole frames (docs/theory/refinement.md#robust-loss)."""

from __future__ import annotations

import numpy as np
from simulated_grains import lattice_errors

from .seeds import EXPERIMENT, case, refine_grains, refiner, rms


def test_few_outliers_do_not_move_the_grain() -> None:
    grains, spots = case(12)
    rng = np.random.default_rng(7)
    wrong = rng.random(len(spots)) < 0.05
    angle = rng.uniform(0, 2 * np.pi, wrong.sum())
    distance = rng.uniform(100, 400, wrong.sum())
    spots.y_plane[wrong] += distance * np.cos(angle)
    spots.z_plane[wrong] += distance * np.sin(angle)
    solutions = refine_grains(refiner(EXPERIMENT, spots), grains, spots).solutions
    position, rotation, strain = lattice_errors(solutions, grains)
    assert rms(position) < 0.5
    assert rms(rotation) < 1e-3
    assert rms(strain) < 5e-6


def test_noise_gives_errors_of_the_expected_size() -> None:
    """8 µm and 0.02 degrees give 1.65 µm, 0.0020 degrees, 8.2e-6 with epsilon 0.1."""
    grains, spots = case(40, seed=5)
    spots.blur(np.random.default_rng(8), spot=8, omega=0.02)
    solutions = refine_grains(refiner(EXPERIMENT, spots), grains, spots).solutions
    position, rotation, strain = lattice_errors(solutions, grains)
    assert rms(position) < 1.25 * 1.65
    assert rms(np.linalg.norm(rotation, axis=1)) < 1.25 * 0.0020
    assert rms(strain) < 1.25 * 8.2e-6


def test_omegas_of_single_frames_give_the_middle_of_the_frame() -> None:
    """Uniform scatter: the mean of n omegas is good to step / sqrt(12 n), the median only to step / (2 sqrt(n))."""
    grains, spots = case(40, seed=6)
    spots.turn(np.random.default_rng(9).uniform(-0.25, 0.25, len(spots)))
    solutions = refine_grains(refiner(EXPERIMENT, spots), grains, spots).solutions
    position, rotation, strain = lattice_errors(solutions, grains)
    assert rms(rotation[:, 2]) < 1.3 * 0.5 / np.sqrt(12 * len(spots) / 40)
    assert np.abs(rotation[:, :2]).max() < 1e-3
    assert np.median(position) < 0.1
    assert rms(strain) < 2e-6
