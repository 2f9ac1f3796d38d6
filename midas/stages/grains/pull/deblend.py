"""Spots of several grains that are one on the frames, fitted together (docs/theory/measured_spots.md#deblending)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from midas._ext.grains.reflections import PredictedReflections
from midas._ext.peaks.deblend import fit_blend
from midas._ext.pull.sums import MEASURED
from midas.stages.grains.pull.boxes import SHELL, Boxes
from midas.stages.grains.pull.frames import FilledBoxes

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

#: predictions closer than this, in standard deviations of their spots, are one spot on the frames
_BLENDED = 4.0
#: more peaks than this in one spot are not told apart
_MOST_PEAKS = 3
#: a peak whose place is not known to this, in half widths of its box, or whose height is not this many standard
#: deviations, is not resolved
_LARGEST_ERROR, _LEAST_SIGNIFICANCE = 0.1, 5.0
#: how far a fitted peak may be from its prediction, half widths
_REACH = 0.7
#: spots that say how wide those of a grain are
_FEWEST = 5
#: the slowest reflections are as wide in omega as one of this Lorentz factor
_SLOWEST = 0.2


@dataclass(frozen=True)
class SpotWidths:
    """Usual standard deviations of the spots of each grain.

    Parameters
    ----------
    radial, arc : (n,) float64, µm
    rocking : (n,) float64, degrees, of a reflection that crosses the sphere at a right angle
    """

    radial: Array
    arc: Array
    rocking: Array

    def of(self, predicted: PredictedReflections) -> Array:
        """(m, 3): radial, along the ring, in omega."""
        grain = predicted.crystal
        omega = self.rocking[grain] / np.maximum(np.abs(predicted.lorentz), _SLOWEST)
        return np.stack([self.radial[grain], self.arc[grain], omega], axis=1)


def usual_widths(
    predicted: PredictedReflections, boxes: Boxes, sums: NDArray[np.void], grains: int, step: float
) -> SpotWidths | None:
    """The medians over the spots of each grain that have no neighbour; of all grains where a grain has few of these.

    None where there is no such spot.
    """
    alone = (sums["status"] == MEASURED) & (np.diff(boxes.first_other) == 0)
    if alone.sum() < _FEWEST:
        alone = sums["status"] == MEASURED
    if not alone.any():
        return None
    omega = np.sqrt(np.maximum(sums["omega_variance"] - step**2 / 12, (0.1 * step) ** 2))
    columns = np.stack(
        [
            np.sqrt(sums["radial_variance"]),
            np.sqrt(sums["arc_variance"]),
            omega * np.maximum(np.abs(predicted.lorentz), _SLOWEST),
        ],
        axis=1,
    )[alone]
    grain = predicted.crystal[alone]
    usual = np.tile(np.median(columns, axis=0), (grains, 1))
    for number in range(grains):
        own = columns[grain == number]
        if len(own) >= _FEWEST:
            usual[number] = np.median(own, axis=0)
    return SpotWidths(*np.ascontiguousarray(usual.T))


@dataclass(frozen=True)
class Blends:
    """Predictions that are one spot.

    Parameters
    ----------
    group : (n,) int64, which blend each prediction is in; -1 = none
    members : the predictions of each blend
    widths : (n, 3) float64, standard deviations of every spot: µm, µm, degrees
    """

    group: Rows
    members: list[Rows]
    widths: Array


def blends_of(boxes: Boxes, widths: Array) -> Blends:
    """The blends among all predictions, whose boxes these are."""
    box = np.repeat(np.arange(len(boxes)), np.diff(boxes.first_other))
    variance = (widths[box] ** 2 + widths[boxes.neighbour] ** 2) / 2
    close = (boxes.others**2 / variance).sum(axis=1) < _BLENDED**2
    graph = coo_matrix((np.ones(close.sum()), (box[close], boxes.neighbour[close])), (len(boxes), len(boxes)))
    _, label = connected_components(graph, directed=False)
    size = np.bincount(label, minlength=1)
    several = np.flatnonzero(size > 1)
    place = np.full(len(size), -1)
    place[several] = np.arange(len(several))
    group = place[label].astype(np.int64)
    order = np.argsort(group, kind="stable")
    order = order[group[order] >= 0]
    members = np.split(order, np.cumsum(size[several])[:-1]) if len(several) else []
    return Blends(group, members, widths)


class Deblender:
    """Fits every blend when the box of one of its members is filled.

    Parameters
    ----------
    boxes, blends : of all predictions
    rows : the predictions that the filled boxes belong to

    Attributes
    ----------
    resolved : (n,) bool, which predictions have a peak of their own
    peaks : (n, 7) float64, counts, place relative to the prediction (µm, µm, degrees), standard deviations
    """

    def __init__(self, boxes: Boxes, blends: Blends, rows: Rows, step: float):
        self._boxes, self._blends, self._rows, self._step = boxes, blends, rows, step
        self._fitted = np.zeros(len(blends.members), bool)
        self.resolved = np.zeros(len(boxes), bool)
        self.peaks = np.zeros((len(boxes), 7))

    def __call__(self, filled: FilledBoxes, which: Rows) -> None:
        groups = self._blends.group[self._rows[filled.rows[which]]]
        for box, group in zip(which.tolist(), groups.tolist(), strict=True):
            if group >= 0 and not self._fitted[group]:
                self._fitted[group] = True
                if len(self._blends.members[group]) <= _MOST_PEAKS:
                    self._fit(filled, box, self._blends.members[group])

    def _fit(self, filled: FilledBoxes, box: int, members: Rows) -> None:
        """Fit one blend on the pixels of the box of one of its members."""
        own = self._rows[filled.rows[box]]
        places = self._places(own, members)
        if places is None:
            return
        half = self._boxes.half[own]
        radial, arc, omegas, counts, level = _voxels(filled, box, places, half, self._foreign(own, members))
        if not counts.size:
            return
        peaks, sigma = fit_blend(
            counts, level, radial, arc, omegas, self._step, places, np.ascontiguousarray(self._blends.widths[members]),
            _REACH * half,
        )  # fmt: skip
        moved = np.abs(peaks[:, 1:4] - places) / half
        sound = (sigma[:, 1:] / half < _LARGEST_ERROR).all(axis=1) & (moved < 0.99 * _REACH).all(axis=1)
        sound &= peaks[:, 0] > _LEAST_SIGNIFICANCE * sigma[:, 0]
        if sound.all():
            self.resolved[members] = True
            peaks[:, 1:4] -= places
            self.peaks[members] = peaks[:, [7, 1, 2, 3, 4, 5, 6]]

    def _places(self, own: int, members: Rows) -> Array | None:
        """Predictions of the members, seen from that of the box; None where one is too far away."""
        first, end = self._boxes.first_other[own : own + 2]
        near = dict(zip(self._boxes.neighbour[first:end].tolist(), self._boxes.others[first:end], strict=True))
        near[int(own)] = np.zeros(3)
        if not all(member in near for member in members.tolist()):
            return None
        places = np.array([near[member] for member in members.tolist()])
        return places if (np.abs(places) <= self._boxes.half[own]).all() else None

    def _foreign(self, own: int, members: Rows) -> Array:
        """Predictions nearby that are not of the blend."""
        part = slice(*self._boxes.first_other[own : own + 2])
        return self._boxes.others[part][~np.isin(self._boxes.neighbour[part], members)]


def _voxels(
    filled: FilledBoxes, box: int, places: Array, half: Array, foreign: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Pixels and frames around predictions, their counts without background, and that; NaN for those of others."""
    pixels = slice(*filled.offsets[box : box + 2])
    radial, arc = filled.radial[pixels].astype(np.float64), filled.arc[pixels].astype(np.float64)
    omegas = filled.omegas[slice(*filled.first_frame[box : box + 2])]
    counts = filled.values[slice(*filled.starts[box : box + 2])].reshape(len(omegas), len(radial)).astype(np.float64)
    off = np.maximum(np.abs(radial[:, None] - places[:, 0]) / half[0], np.abs(arc[:, None] - places[:, 1]) / half[1])
    inside, shell = (off <= 1).any(axis=1), (off > 1).all(axis=1) & (off <= SHELL).any(axis=1)
    frames = (np.abs(omegas[:, None] - places[:, 2]) <= half[2]).any(axis=1)
    counts = counts[frames]
    if not counts.size or not inside.any() or not shell.any():
        return radial[:0], arc[:0], omegas[:0], np.empty((0, 0)), omegas[:0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        level = np.nanmedian(counts[:, shell], axis=1)  # NaN: nothing of the frame counts
    radial, arc, omegas = radial[inside], arc[inside], omegas[frames]
    counts = counts[:, inside] - level[:, None]
    counts[_distance(radial, arc, omegas, foreign, half) < _distance(radial, arc, omegas, places, half)] = np.nan
    return radial, arc, omegas, np.ascontiguousarray(counts), level


def _distance(radial: Array, arc: Array, omegas: Array, places: Array, half: Array) -> Array:
    """(frames, pixels): square of the distance, in half widths, from the nearest of some places; infinite without."""
    nearest = np.full((len(omegas), len(radial)), np.inf)
    for place in places:
        across = ((radial - place[0]) / half[0]) ** 2 + ((arc - place[1]) / half[1]) ** 2
        nearest = np.minimum(nearest, across + (((omegas - place[2]) / half[2]) ** 2)[:, None])
    return nearest
