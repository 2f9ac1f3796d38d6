"""Load steps with known links: a sample that deforms, turns, loses grains and shows new ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from midas.experiment.orientation import quaternion_product, symmetry_operators
from midas.results.matching.candidates import Snapshot
from midas.results.matching.lattice import quaternions_of_vectors
from midas.results.matching.tracking import SEEN, Series


@dataclass(frozen=True)
class LoadSteps:
    """How a series is made.

    Parameters
    ----------
    texture : scatter of the orientations about one, degrees; None for none
    twins : part of the grains that share their place with a twin
    gradient : of the displacement, per step
    rotation, shift : of the whole per step, degrees and µm
    angle, distance : noise of orientations and positions, degrees and µm
    """

    grains: int = 500
    steps: int = 5
    seed: int = 0
    space_group: int = 225
    texture: float | None = None
    twins: float = 0.0
    side: float = 1000.0
    gradient: float = 4e-3
    rotation: float = 0.5
    shift: float = 40.0
    angle: float = 0.02
    distance: float = 5.0
    lost: float = 0.05
    new: float = 0.03
    operators: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operators", symmetry_operators(self.space_group))

    def make(self) -> tuple[list[Snapshot], list[np.ndarray]]:
        """The steps, and the names of the grains of each: the truth."""
        random = np.random.default_rng(self.seed)
        total = self.grains + int(self.steps * self.new * self.grains)
        quaternions, places = self._sample(random, total)
        radii = np.exp(random.normal(3.0, 0.3, total))
        steps, names = [], []
        for step in range(self.steps):
            present = np.arange(self.grains + int(step * self.new * self.grains))
            if step:
                present = present[random.random(len(present)) > self.lost]
            present = random.permutation(present)
            steps.append(self._seen(random, step, quaternions[present], places[present], radii[present]))
            names.append(present)
        return steps, names

    def _sample(self, random: np.random.Generator, total: int) -> tuple[np.ndarray, np.ndarray]:
        if self.texture is None:
            quaternions = random.standard_normal((total, 4))
            quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
        else:
            quaternions = quaternions_of_vectors(random.normal(0, self.texture, (total, 3)))
        places = random.uniform(-self.side / 2, self.side / 2, (total, 3))
        pairs = int(self.twins * total / 2)
        twin = quaternions_of_vectors(np.full((1, 3), 60 / np.sqrt(3)))
        quaternions[1 : 2 * pairs : 2] = quaternion_product(quaternions[0 : 2 * pairs : 2], twin)
        places[1 : 2 * pairs : 2] = places[0 : 2 * pairs : 2] + random.normal(0, 3, (pairs, 3))
        return quaternions, places

    def _seen(
        self, random: np.random.Generator, step: int, quaternions: np.ndarray, places: np.ndarray, radii: np.ndarray
    ) -> Snapshot:
        """The grains as they are found in a step, each in some setting of its symmetry."""
        axis = np.array([0.6, 0.0, 0.8]) * self.rotation * step
        turn = quaternions_of_vectors(axis[None])
        rate = self.gradient * step
        gradient = np.array([[-0.3, 0.2, 0.0], [0.0, -0.3, 0.1], [0.0, 0.4, 1.0]]) * rate
        settings = self.operators[random.integers(len(self.operators), size=len(quaternions))]
        noise = quaternions_of_vectors(random.normal(0, self.angle, (len(quaternions), 3)))
        turned = quaternion_product(noise, quaternion_product(turn, quaternion_product(quaternions, settings)))
        moved = places + places @ gradient.T + np.array([0.5, -0.3, 1.0]) * self.shift * step
        moved = moved + random.normal(0, self.distance, moved.shape)
        size = np.log(radii) + random.normal(0, 0.1, len(radii))
        return Snapshot(turned, moved, size)


@dataclass(frozen=True)
class Verdict:
    """Links of a series against the truth.

    Parameters
    ----------
    possible : grains that were there before, in all steps but the first
    right, wrong, ambiguous : of these
    """

    possible: int
    right: int
    wrong: int
    ambiguous: int

    @property
    def found(self) -> float:
        return self.right / max(self.possible, 1)


def judged(series: Series, names: list[np.ndarray]) -> Verdict:
    """How many links are right and wrong."""
    possible = sum(int(np.isin(now, np.concatenate(names[:k])).sum()) for k, now in enumerate(names) if k)
    right = wrong = 0
    for rows in series.rows:
        steps = np.flatnonzero(rows >= 0)
        grains = [int(names[step][rows[step]]) for step in steps]
        for one, two in zip(grains, grains[1:], strict=False):
            right += one == two
            wrong += one != two
    assert all((series.rows[:, k] >= 0).sum() == len(now) for k, now in enumerate(names))
    assert (np.isin(series.states, SEEN) == (series.rows >= 0)).all()
    undecided = sum(series.count(step, 7) for step in range(series.steps))
    return Verdict(possible, right, wrong, undecided)
