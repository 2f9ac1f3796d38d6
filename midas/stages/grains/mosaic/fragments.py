"""The fragments of broken spots, and the combined spots that they make (docs/theory/mosaic.md#fragments)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from midas._ext.grains.reflections import PredictedReflections
from midas._ext.numerics.elementwise import arcsin, sin, tan
from midas._ext.physics.spots import scattering_vectors
from midas._ext.refine.settings import Instrument
from midas.experiment.combined_spots import combined_places, share_of
from midas.experiment.crystals import Crystals
from midas.experiment.vectors import angle_between, products, unit
from midas.runtime.ragged import entries_of, offsets_of
from midas.stages.grains.orientation_spread import spread_of

Array = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class BrokenSpots:
    """The spots of a layer, for crystals whose spots are broken.

    Parameters
    ----------
    y, z, omega : (s,) float64, as recorded on the plane: µm, degrees
    group : (s,) int64, place of the ring; -1 for one that is not used
    intensity : (s,) float64
    certainty : (s,) float64, factor on the distances on the detector in a fit
    """

    y: Array
    z: Array
    omega: Array
    group: Places
    intensity: Array
    certainty: Array

    def take(self, rows: Places) -> BrokenSpots:
        """Some of them."""
        y, z, omega = self.y[rows], self.z[rows], self.omega[rows]
        return BrokenSpots(y, z, omega, self.group[rows], self.intensity[rows], self.certainty[rows])

    def vectors(self, instrument: Instrument, rows: Places, positions: Array) -> Array:
        """(m, 3) scattering vectors, 1/Å, of these spots if they come from these positions."""
        return _vectors(instrument, self.y[rows], self.z[rows], self.omega[rows], positions)


@dataclass(frozen=True)
class Cone:
    """How far a fragment may be from its reflection.

    Parameters
    ----------
    tolerance : angle between the scattering vectors, degrees
    gap : widest step between neighbours, degrees
    radial : µm
    reach : farthest that a crystal can be from the rotation axis, µm
    """

    tolerance: float
    gap: float
    radial: float
    reach: float


@dataclass(frozen=True)
class Fragments:
    """Fragments of m combined spots.

    Parameters
    ----------
    spot : (f,) rows of the spots, combined spot after combined spot, the nearest to the prediction first
    offsets : (m + 1,) int64
    crystal, hkl, branch : (m,) int64, of each combined spot
    place : (m, 3) float64, where it is predicted on the plane: y and z, µm, and omega, degrees
    vectors : (f, 3) unit scattering vectors of the spots
    predicted : (m, 3) unit scattering vectors of the reflections
    """

    spot: Places
    offsets: Places
    crystal: Places
    hkl: Places
    branch: Places
    place: Array
    vectors: Array
    predicted: Array

    @property
    def combined(self) -> Places:
        """(f,) the combined spot of each fragment."""
        return np.repeat(np.arange(len(self.crystal)), np.diff(self.offsets))

    def take(self, combined: Places) -> Fragments:
        """Those of some combined spots."""
        counts = np.diff(self.offsets)[combined]
        kept = np.isin(self.combined, combined)
        return Fragments(
            spot=self.spot[kept],
            offsets=offsets_of(counts),
            crystal=self.crystal[combined],
            hkl=self.hkl[combined],
            branch=self.branch[combined],
            place=self.place[combined],
            vectors=self.vectors[kept],
            predicted=self.predicted[combined],
        )


def _vectors(instrument: Instrument, y: Array, z: Array, omega: Array, positions: Array) -> Array:
    return scattering_vectors(
        np.ascontiguousarray(y),
        np.ascontiguousarray(z),
        np.ascontiguousarray(omega),
        np.ascontiguousarray(positions),
        instrument.lsd,
        instrument.wavelength,
        instrument.wedge,
        instrument.exact_wedge,
        instrument.tilts,
    )


def fragments(
    spots: BrokenSpots,
    instrument: Instrument,
    crystals: Crystals,
    predicted: PredictedReflections,
    group: NDArray[np.int32],
    owner: Places,
    cone: Cone,
) -> Fragments:
    """Every spot to the reflection that it is nearest to, where it links to it in short steps.

    Parameters
    ----------
    predicted : accepted reflections of the crystals
    group : (r,) place of the ring of each of them
    owner : (s,) the crystal among `crystals` that has each spot; -1: none, any may take it; -2: not to be taken
    """
    reflection, spot = _candidates(spots, instrument, predicted, group, owner, cone)
    at = crystals.position[predicted.crystal]
    g_of_reflection = _vectors(instrument, predicted.y_plane, predicted.z_plane, predicted.omega_recorded, at)
    g = spots.vectors(instrument, spot, at[reflection])
    expected = g_of_reflection[reflection]
    n, n_expected = unit(g), unit(expected)
    angle = angle_between(n, n_expected)
    off = _radius(g, instrument) - _radius(expected, instrument)
    kept = np.flatnonzero((angle < cone.tolerance) & (np.abs(off) < cone.radial))
    kept = kept[np.lexsort((reflection[kept], angle[kept], spot[kept]))]
    kept = kept[np.unique(spot[kept], return_index=True)[1]]  # each spot to its nearest reflection
    kept = kept[np.lexsort((spot[kept], angle[kept], reflection[kept]))]
    kept = kept[_linked(reflection[kept], n[kept], cone.gap)]
    used, first = np.unique(reflection[kept], return_index=True)
    return Fragments(
        spot=spot[kept],
        offsets=np.append(first, len(kept)).astype(np.int64),
        crystal=predicted.crystal[used].astype(np.int64),
        hkl=predicted.hkl[used].astype(np.int64),
        branch=predicted.branch[used].astype(np.int64),
        place=np.stack([predicted.y_plane, predicted.z_plane, predicted.omega_recorded], axis=1)[used],
        vectors=n[kept],
        predicted=unit(g_of_reflection[used]),
    )


def _candidates(
    spots: BrokenSpots,
    instrument: Instrument,
    predicted: PredictedReflections,
    group: NDArray[np.int32],
    owner: Places,
    cone: Cone,
) -> tuple[Places, Places]:
    """Pairs of reflections and spots of one ring and branch that may be near enough, wherever the crystal is."""
    origin = np.zeros((1, 3))
    usable = np.flatnonzero((spots.group >= 0) & (owner > -2))
    n_spot = unit(spots.vectors(instrument, usable, np.repeat(origin, len(usable), axis=0)))
    group_of, side = spots.group[usable], np.sign(spots.y[usable])
    at = np.repeat(origin, len(predicted.hkl), axis=0)
    n_reflection = unit(_vectors(instrument, predicted.y_plane, predicted.z_plane, predicted.omega_recorded, at))
    # Both are turned by less than this when they are seen from the crystal.
    reach = 2 * sin(np.radians(cone.tolerance) / 2 + cone.reach / instrument.lsd)
    pairs = []
    for number in np.unique(group).tolist():
        for branch in (-1, 1):
            ours = np.flatnonzero((group == number) & (predicted.branch == branch))
            theirs = np.flatnonzero((group_of == number) & (side == branch))
            if len(ours) and len(theirs):
                tree = cKDTree(n_spot[theirs])
                near = cKDTree(n_reflection[ours]).sparse_distance_matrix(tree, reach, output_type="ndarray")
                pairs.append(np.stack([ours[near["i"]], usable[theirs[near["j"]]]]))
    reflection, spot = np.concatenate(pairs, axis=1) if pairs else np.empty((2, 0), np.int64)
    free = (owner[spot] == -1) | (owner[spot] == predicted.crystal[reflection])
    return reflection[free], spot[free]


def _linked(reflection: Places, n: Array, gap: float) -> NDArray[np.bool_]:
    """Which spots are linked to the first of their reflection in steps below `gap` degrees."""
    if not len(reflection):
        return np.zeros(0, bool)
    first, size = np.unique(reflection, return_index=True, return_counts=True)[1:]
    many = np.repeat(size, size)
    i = np.repeat(np.arange(len(reflection)), many)
    j = entries_of(np.repeat(first, size), many)
    near = (i < j) & (angle_between(n[i], n[j]) < gap)
    graph = coo_matrix((np.ones(near.sum(), bool), (i[near], j[near])), (len(reflection),) * 2)
    _, component = connected_components(graph, directed=False)
    linked: NDArray[np.bool_] = component == component[np.repeat(first, size)]
    return linked


def combined_spots(spots: BrokenSpots, found: Fragments) -> BrokenSpots:
    """One spot for the fragments of each: means weighted by intensity, of radius and azimuth, and of omega.

    Not of y and z: the mean of an arc lies inside of it.
    """
    starts, rows = found.offsets[:-1], found.spot
    weight = share_of(spots.intensity[rows])
    total = np.add.reduceat(weight, starts) if len(starts) else np.empty(0)
    y, z, omega = combined_places(spots.y, spots.z, spots.omega, weight, rows, found.offsets)
    certainty = np.add.reduceat(weight * spots.certainty[rows], starts) / total if len(starts) else np.empty(0)
    intensity = np.where(total > np.finfo(float).tiny, total, 0.0)
    return BrokenSpots(y, z, omega, spots.group[rows[starts]], intensity, certainty)


def spread(spots: BrokenSpots, found: Fragments, count: int) -> Array:
    """Spread of each crystal's orientation that its fragments show (docs/theory/mosaic.md#spread).

    Returns
    -------
    (count, 4) degrees: root of the sum of the principal variances, and three full widths at half maximum, descending
    """
    result = np.zeros((count, 4))
    if not len(found.crystal):
        return result
    weight = np.maximum(spots.intensity[found.spot], np.finfo(float).tiny)
    starts, combined = found.offsets[:-1], found.combined
    total = np.add.reduceat(weight, starts)
    mean = np.add.reduceat(weight[:, None] * found.vectors, starts) / total[:, None]
    across = _across(mean)  # (m, 2, 3)
    off = np.degrees(np.einsum("fij,fj->fi", across[combined], found.vectors - mean[combined]))
    squares = np.stack([off[:, 0] ** 2, off[:, 0] * off[:, 1], off[:, 1] ** 2], axis=1)
    seen = np.add.reduceat(weight[:, None] * squares, starts) / total[:, None]
    # A small rotation w moves g by w x g = -[g]x w; seen along two directions across g that is a (2, 3) matrix.
    lever = np.cross(unit(mean)[:, None, :], across)
    design = np.stack([products(lever[:, a], lever[:, b]) for a, b in ((0, 0), (0, 1), (1, 1))], axis=1)
    for crystal in np.unique(found.crystal).tolist():
        own = found.crystal == crystal
        result[crystal] = spread_of(design[own], seen[own])
    return result


def _across(vectors: Array) -> Array:
    """(m, 2, 3) two directions across each vector and each other."""
    n = unit(vectors)
    axis = np.eye(3)[np.argmin(np.abs(n), axis=1)]
    first = unit(np.cross(n, axis))
    return np.stack([first, np.cross(n, first)], axis=1)


def _radius(vectors: Array, instrument: Instrument) -> Array:
    """Radius on the detector, µm, of scattering vectors in 1/Å."""
    sine = np.minimum(0.5 * instrument.wavelength * np.linalg.norm(vectors, axis=-1), 0.7)
    radius: Array = instrument.lsd * tan(2 * arcsin(sine))
    return radius
