"""Grains with neighbours: twins, sub-grains, pieces of a mosaic crystal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from independent.referee.rotations import about, by_vector, random
from numpy.typing import NDArray

from midas.formats.simulated import GrainList

Array = NDArray[np.float64]

NICKEL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
#: axes of the four twins of a cubic crystal, each turned by 60 degrees
_TWIN_AXES = ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1))
#: ratio of a Gaussian's full width at half its height to its standard deviation
_WIDTH = 2 * np.sqrt(2 * np.log(2))


def scattered(
    seed: int,
    count: int,
    cell: tuple[float, ...] = NICKEL,
    *,
    radius: float = 400.0,
    height: float = 100.0,
    strain: float = 1e-3,
) -> GrainList:
    """Random orientations in a cylinder (µm, from -height to height), cells strained by up to `strain`."""
    rng = np.random.default_rng(seed)
    r, angle = radius * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
    positions = np.column_stack([r * np.cos(angle), r * np.sin(angle), rng.uniform(-height, height, count)])
    strains = strain * rng.uniform(-1, 1, (count, 6))
    cells = np.hstack([np.array(cell[:3]) * (1 + strains[:, :3]), np.array(cell[3:]) + np.degrees(strains[:, 3:])])
    return GrainList(random(rng, count), positions, cells)


def turned_neighbours(
    seed: int, count: int, angle: float, apart: tuple[float, float], *, strain: float = 1e-3
) -> GrainList:
    """Pairs of grains: the second turned against the first (degrees) and so far from it (µm, lowest and highest)."""
    grains = scattered(seed, count, strain=strain)
    rng = np.random.default_rng(seed + 1)
    turns = np.array([by_vector(angle * axis) for axis in _directions(rng, count)])
    shifts = rng.uniform(*apart, (count, 1)) * _directions(rng, count)
    assert grains.cells is not None
    return GrainList(
        np.concatenate([grains.matrices, turns @ grains.matrices]),
        np.concatenate([grains.positions, grains.positions + shifts]),
        np.concatenate([grains.cells, grains.cells]),
    )


def with_twins(seed: int, count: int, variants: int, apart: float, *, parents: bool = True) -> GrainList:
    """Cubic grains and `variants` of their four twins each, as far from them (µm) and of the same cell."""
    grains = scattered(seed, count)
    rng = np.random.default_rng(seed + 1)
    first = rng.integers(0, 4, count) if variants < 4 else np.zeros(count, int)
    groups = [grains] if parents else []
    assert grains.cells is not None
    for number in range(variants):
        turns = np.array([about(_TWIN_AXES[i], 60.0) for i in (first + number) % 4])
        shifts = apart * _directions(rng, count)
        groups.append(GrainList(grains.matrices @ turns, grains.positions + shifts, grains.cells))
    return joined(groups)


@dataclass(frozen=True)
class Mosaic:
    """How a crystal falls into pieces.

    Parameters
    ----------
    seed : of its random numbers
    width : of the distribution of their rotations about each axis: full width at half height, degrees
    pieces : how many, least and most
    strengths : least and most intensity of a piece; whole numbers
    """

    seed: int
    width: float
    pieces: tuple[int, int]
    strengths: tuple[int, int] = (1, 1)

    def broken(self, grains: GrainList) -> GrainList:
        """The pieces of all grains; one of intensity n occurs n times. Their mean rotation is that of the grain."""
        rng = np.random.default_rng(self.seed)
        matrices, owner = [], []
        for row, matrix in enumerate(grains.matrices):
            count = rng.integers(self.pieces[0], self.pieces[1] + 1)
            strength = rng.integers(self.strengths[0], self.strengths[1] + 1, count)
            turns = self.width / _WIDTH * rng.standard_normal((count, 3))
            turns -= np.average(turns, axis=0, weights=strength)
            matrices += [by_vector(turn) @ matrix for turn in np.repeat(turns, strength, axis=0)]
            owner += [row] * int(strength.sum())
        assert grains.cells is not None
        return GrainList(np.array(matrices), grains.positions[owner], grains.cells[owner])


def joined(groups: list[GrainList]) -> GrainList:
    """All grains of several lists."""
    cells = [group.cells for group in groups if group.cells is not None]
    return GrainList(
        np.concatenate([group.matrices for group in groups]),
        np.concatenate([group.positions for group in groups]),
        np.concatenate(cells),
    )


def _directions(rng: np.random.Generator, count: int) -> Array:
    """(count, 3) random unit vectors."""
    vectors = rng.standard_normal((count, 3))
    unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
