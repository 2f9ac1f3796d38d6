"""Boxes around predicted reflections (docs/theory/measured_spots.md#boxes)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas.experiment.angles import wrapped
from midas.stages.pull.predictions import Predictions

Array = NDArray[np.float64]

#: a slow reflection has a box that is longer in omega, at most by this
_LONGEST = 2.0
#: half widths within which other predictions are known to a box: its own half width, how far it may move, and theirs
_NEAR = 4.0
#: a box can move by its half width: what it may need of the frames, in half widths, without and with the background
REACH, REACH_WITH_SHELL = 2.0, 2.5


@dataclass(frozen=True)
class Boxes:
    """Boxes in the order of their frames.

    Parameters
    ----------
    radius, eta, omega : (n,) float64, middle: µm on the plane, degrees, degrees
    half : (n, 3) float64, half widths: radial and along the ring (µm), omega (degrees)
    first_other, others : (n + 1,) int64, (k, 3) float64, other predictions near each box, relative to its middle
    neighbour : (k,) int64, rows of these predictions
    """

    radius: Array
    eta: Array
    omega: Array
    half: Array
    first_other: NDArray[np.int64]
    others: Array
    neighbour: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.radius)


def boxes_of(predictions: Predictions, half: tuple[float, float, float], rivals: NDArray[np.bool_]) -> Boxes:
    """The box of every prediction.

    Parameters
    ----------
    half : half widths, µm, µm, degrees
    rivals : which predictions take pixels from each other
    """
    stretch = np.minimum(_LONGEST, 1 / np.maximum(predictions.lorentz, 1e-9))
    halves = np.stack([np.full(len(predictions), h) for h in half], axis=1)
    halves[:, 2] *= stretch
    box, other = _pairs(predictions, half, rivals)
    relative = _relative(predictions, box, other)
    near = (np.abs(relative) <= _NEAR * halves[box]).all(axis=1)
    box, other, relative = box[near], other[near], relative[near]
    order = np.lexsort((other, box))
    first = np.concatenate([[0], np.cumsum(np.bincount(box, minlength=len(predictions)))]).astype(np.int64)
    return Boxes(
        predictions.radius, predictions.eta, predictions.omega, halves, first, relative[order], other[order]
    )


def _relative(predictions: Predictions, box: NDArray[np.int64], other: NDArray[np.int64]) -> Array:
    """(k, 3): where other predictions lie, seen from those of the boxes: µm, µm, degrees."""
    return np.stack(
        [
            predictions.radius[other] - predictions.radius[box],
            np.radians(wrapped(predictions.eta[other] - predictions.eta[box])) * predictions.radius[box],
            wrapped(predictions.omega[other] - predictions.omega[box]),
        ],
        axis=1,
    ).reshape(-1, 3)


def _pairs(
    predictions: Predictions, half: tuple[float, float, float], rivals: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Predictions that may be near each other, each pair both ways."""
    rows = np.flatnonzero(rivals)
    if len(rows) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    across, along = max(half[:2]), _LONGEST * half[2]
    eta, radius, omega = np.radians(predictions.eta[rows]), predictions.radius[rows], predictions.omega[rows]
    # What is near -180 degrees is near +180, too.
    turned = np.concatenate([omega, omega + 360.0])
    places = np.tile(np.stack([-radius * np.sin(eta) / across, radius * np.cos(eta) / across], axis=1), (2, 1))
    tree = cKDTree(np.column_stack([places, turned / along]))
    pairs = rows[tree.query_pairs(_NEAR * np.sqrt(2.0), p=np.inf, output_type="ndarray") % len(rows)]
    pairs = np.concatenate([pairs, pairs[:, ::-1]]).reshape(-1, 2)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
