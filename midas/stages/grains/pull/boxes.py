"""Boxes around predicted reflections (docs/theory/measured_spots.md#boxes)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas._ext.grains.reflections import PredictedReflections
from midas._ext.numerics.elementwise import hypot
from midas.experiment.angles import wrapped
from midas.runtime.ragged import entries_of, offsets_of

Array = NDArray[np.float64]

#: a slow reflection has a box that is longer in omega, at most by this
_LONGEST = 2.0
#: half widths within which other predictions are known to a box: its own half width, how far it may move, and theirs
_NEAR = 4.0
#: a box can move by its half width: what it may need of the frames, in half widths, without and with the background
REACH, REACH_WITH_SHELL = 2.0, 2.5
#: outer edge of the shell of background, half widths
SHELL = 1.5


@dataclass(frozen=True)
class BoxWidths:
    """Half widths of the boxes of a layer.

    Parameters
    ----------
    radial, arc, omega : µm, along the ring µm, degrees
    spread : of the orientations in a grain, degrees: along the ring no box is narrower than this
    """

    radial: float
    arc: float
    omega: float
    spread: float = 0.0


@dataclass(frozen=True)
class Boxes:
    """Boxes around predictions, one per prediction.

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

    def take(self, rows: NDArray[np.int64]) -> Boxes:
        """These boxes; their neighbours stay rows of the whole list."""
        counts = np.diff(self.first_other)[rows]
        first, entries = offsets_of(counts), entries_of(self.first_other[:-1][rows], counts)
        return Boxes(
            self.radius[rows], self.eta[rows], self.omega[rows], self.half[rows], first, self.others[entries],
            self.neighbour[entries],
        )  # fmt: skip


def boxes_of(predicted: PredictedReflections, widths: BoxWidths, rivals: NDArray[np.bool_]) -> Boxes:
    """The box of every prediction.

    Parameters
    ----------
    rivals : (n,) bool, which predictions take the pixels that are nearer to them from all others
    """
    radius = hypot(predicted.y_plane, predicted.z_plane)
    eta, omega = predicted.eta, predicted.omega_recorded
    slowness = np.minimum(_LONGEST, 1 / np.maximum(np.abs(predicted.lorentz), 1e-9))
    arc = np.maximum(widths.arc, np.radians(widths.spread) * radius)
    halves = np.stack([np.full(len(radius), widths.radial), arc, widths.omega * slowness], axis=1)
    box, other = _pairs(predicted, halves, rivals)
    relative = np.stack(
        [
            radius[other] - radius[box],
            np.radians(wrapped(eta[other] - eta[box])) * radius[box],
            wrapped(omega[other] - omega[box]),
        ],
        axis=1,
    )
    near = (np.abs(relative) <= _NEAR * halves[box]).all(axis=1)
    box, other, relative = box[near], other[near], relative[near]
    first = offsets_of(np.bincount(box, minlength=len(radius)))
    return Boxes(radius, eta, omega, halves, first, relative, other)


def _pairs(
    predicted: PredictedReflections, half: Array, rivals: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Predictions with rivals that may be near them, in order."""
    if not len(rivals):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    across, along = half[:, :2].max(), half[:, 2].max()
    omega = predicted.omega_recorded
    # What is near -180 degrees is near +180, too.
    turned = np.concatenate([omega, omega + 360.0])
    places = np.tile(np.stack([predicted.y_plane, predicted.z_plane], axis=1) / across, (2, 1))
    tree = cKDTree(np.column_stack([places, turned / along]))
    pairs = tree.query_pairs(_NEAR * np.sqrt(2.0), p=np.inf, output_type="ndarray") % len(omega)
    pairs = np.concatenate([pairs, pairs[:, ::-1]]).reshape(-1, 2)
    pairs = np.unique(pairs[(pairs[:, 0] != pairs[:, 1]) & rivals[pairs[:, 1]]], axis=0).astype(np.int64)
    return pairs[:, 0], pairs[:, 1]
