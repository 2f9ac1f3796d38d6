"""Mosaic crystals: the fragments of one crystal as one grain (docs/theory/resolving.md#mosaic-crystals)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.spots import scattering_vectors
from midas._ext.refine.refiner import REFINED
from midas._ext.refine.settings import RecordedSpots
from midas.experiment.crystal import reciprocal_basis
from midas.experiment.orientation import quaternions_from_matrices
from midas.stages.grains.crystals import Crystals
from midas.stages.grains.orientation_families import families_by_shift
from midas.stages.grains.refit import LEAST_SPOTS, Fitted
from midas.stages.grains.scene import Scene

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

#: how often the fragments are collected and the crystals fitted to them
ROUNDS = 4
#: least half width of the radial band of fragments, px
RADIAL_PIXELS = 2.0


@dataclass(frozen=True)
class Cone:
    """How far fragments lie from their crystal and from each other, degrees, and in radius, µm."""

    tolerance: float
    gap: float
    radial: float


@dataclass(frozen=True)
class Fragments:
    """Spots of crystals; the pieces of one reflection stand together.

    Parameters
    ----------
    crystal, spot, hkl : (m,) int64, crystal, row of the spot, place in the list of reflections
    branch : (m,) int8, sign of the laboratory y
    directions : (m, 3) float64, unit scattering vectors in the sample frame
    combined : (m,) int64, number of the reflection that the piece belongs to, ascending
    """

    crystal: Integers
    spot: Integers
    hkl: Integers
    branch: NDArray[np.int8]
    directions: Array
    combined: Integers

    @property
    def first(self) -> Integers:
        """The first piece of each reflection."""
        return np.flatnonzero(np.diff(self.combined, prepend=-1))


@dataclass(frozen=True)
class Combined:
    """The pieces of each reflection as one spot: weighted means on the plane (µm, degrees), and the sum."""

    crystal: Integers
    y_plane: Array
    z_plane: Array
    omega: Array
    group: NDArray[np.int32]
    intensity: Array


@dataclass(frozen=True)
class Gathered:
    """Crystals that have been fitted to the combined spots of their fragments.

    Parameters
    ----------
    kept : (c,) int64, which of the given crystals they are
    family : (n,) int64, the crystal (one of `kept`) that each of the given ones became a part of
    """

    kept: Integers
    family: Integers
    fitted: Fitted
    fragments: Fragments
    combined: Combined


def gather(scene: Scene, crystals: Crystals, owner: Integers, cone: Cone) -> Gathered:
    """Families of crystals, and each family fitted as one crystal.

    Parameters
    ----------
    owner : (s,) int64, crystal of each spot; -1
    """
    intensity = scene.spots["intensity"]
    brightness = _sums(owner[owner >= 0], intensity[owner >= 0], len(crystals))
    family = np.arange(len(crystals))
    now = crystals
    while True:
        leader = families_by_shift(quaternions_from_matrices(now.u), brightness, scene.operators, cone.tolerance)
        kept = np.unique(leader)
        names = np.unique(family)  # crystals of the last pass
        family = names[leader[np.searchsorted(names, family)]]
        now, brightness = now.take(kept), _sums(leader, brightness, len(leader))[kept]
        of_family = np.searchsorted(names[kept], family)
        owners = np.where(owner >= 0, of_family[owner], -1)
        fitted, fragments, combined = _fit_fragments(scene, now, owners, cone)
        done = len(kept) == len(leader)
        now = fitted.crystals
        if done:
            return Gathered(names[kept], family, fitted, fragments, combined)


def _sums(of: Integers, values: Array, count: int) -> Array:
    """Sum of the values of each of `count`."""
    sums = np.zeros(count)
    np.add.at(sums, of, values)
    return sums


def _fit_fragments(scene: Scene, crystals: Crystals, owner: Integers, cone: Cone) -> tuple[Fitted, Fragments, Combined]:
    """Crystals fitted to their fragments, these, and the spots that they make."""
    good = np.ones(len(crystals), bool)
    for _ in range(ROUNDS):
        fragments = collect(scene, crystals, owner, cone)
        combined = combine(scene, fragments)
        crystals, good = _fit(scene, crystals, combined)
    fragments = collect(scene, crystals, owner, cone)
    combined = combine(scene, fragments)
    offsets = np.searchsorted(combined.crystal, np.arange(len(crystals) + 1)).astype(np.int64)
    return Fitted(crystals, offsets, np.arange(len(combined.crystal)), good), fragments, combined


def collect(scene: Scene, crystals: Crystals, owner: Integers, cone: Cone) -> Fragments:
    """The fragments of all reflections of crystals; a spot that several reach goes to the nearest in angle."""
    found = [_of_crystal(scene, crystals, c, (owner < 0) | (owner == c), cone) for c in range(len(crystals))]
    crystal = np.repeat(np.arange(len(found)), [len(f[0]) for f in found])
    spot, hkl, branch = (np.concatenate([np.empty(0, np.int64), *(f[k] for f in found)]) for k in range(3))
    angle = np.concatenate([np.empty(0), *(f[3] for f in found)])
    directions = np.concatenate([np.empty((0, 3)), *(f[4] for f in found)])
    by_angle = np.lexsort((crystal, angle, spot))
    nearest = by_angle[np.flatnonzero(np.diff(spot[by_angle], prepend=-1))]
    order = nearest[np.lexsort((spot[nearest], branch[nearest], hkl[nearest], crystal[nearest]))]
    names = np.stack([crystal[order], hkl[order], branch[order]])
    combined = np.cumsum((np.diff(names, prepend=-9, axis=1) != 0).any(axis=0)) - 1
    return Fragments(names[0], spot[order], names[1], names[2].astype(np.int8), directions[order], combined)


_Found = tuple[Integers, Integers, Integers, Array, Array]


def _of_crystal(scene: Scene, crystals: Crystals, c: int, allowed: NDArray[np.bool_], cone: Cone) -> _Found:
    """Spot, hkl, branch, angle from the reflection (degrees) and direction of the fragments of a crystal."""
    own = np.flatnonzero(allowed & scene.used)
    directions, branch, radius = _seen_from(scene, crystals.position[c], own)
    ring = scene.spots.integers("ring")[own]
    predicted = scene.predicted(crystals.take(np.array([c])))
    g = crystals.u[c] @ reciprocal_basis(crystals.cell[c]) @ scene.reflections.hkl
    spacing = np.linalg.norm(g, axis=0)
    parts: list[_Found] = []
    for place in np.flatnonzero(predicted.accepted):
        hkl = predicted.hkl[place]
        near = np.flatnonzero((ring == predicted.ring[place]) & (branch == predicted.branch[place]))
        near = near[np.abs(radius[near] - _ring_radius(scene, spacing[hkl])) < cone.radial]
        angle = _angles(directions[near], g[:, hkl] / spacing[hkl])
        inside = angle < cone.tolerance
        near, angle = near[inside], angle[inside]
        linked = _linked(directions[near], angle, cone.gap)
        spots, count = near[linked], int(linked.sum())
        names = (np.full(count, hkl, np.int64), np.full(count, int(predicted.branch[place])))
        parts.append((own[spots], *names, angle[linked], directions[spots]))
    if not parts:
        none = np.empty(0, np.int64)
        return none, none, none, np.empty(0), np.empty((0, 3))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]


def _seen_from(scene: Scene, position: Array, spots: Integers) -> tuple[Array, Integers, Array]:
    """Unit scattering vectors of spots in the sample frame, branches, radii (µm), as if seen from a position."""
    y, z, omega = (np.ascontiguousarray(scene.spots[name][spots]) for name in ("y_plane", "z_plane", "omega_recorded"))
    instrument = scene.instrument
    g = scattering_vectors(
        y, z, omega, np.tile(position, (len(spots), 1)), instrument.lsd, instrument.wavelength, instrument.wedge,
        instrument.exact_wedge,
    )  # fmt: skip
    length = np.linalg.norm(g, axis=1)
    return g / length[:, None], np.where(y > 0, 1, -1), _ring_radius(scene, length)


def _ring_radius(scene: Scene, g: Array) -> Array:
    """Distance from the beam (µm) at which vectors of this length (1/Å) diffract."""
    radius: Array = scene.instrument.lsd * np.tan(2 * np.arcsin(np.minimum(scene.instrument.wavelength * g / 2, 0.7)))
    return radius


def _angles(directions: Array, other: Array) -> Array:
    """Degrees between unit vectors, by their chord."""
    angles: Array = np.degrees(2 * np.arcsin(np.minimum(np.linalg.norm(directions - other, axis=1) / 2, 1)))
    return angles


def _linked(directions: Array, angle: Array, gap: float) -> NDArray[np.bool_]:
    """Which directions hang together with the one of the smallest angle in steps below the gap (degrees)."""
    linked = np.zeros(len(angle), bool)
    waiting = [int(angle.argmin())] if len(angle) else []
    while waiting:
        linked[waiting] = True
        here = waiting.pop()
        near = ~linked & (_angles(directions, directions[here]) < gap)
        linked |= near
        waiting += np.flatnonzero(near).tolist()
    return linked


def combine(scene: Scene, fragments: Fragments) -> Combined:
    """The pieces of each reflection as one spot."""
    first, of = fragments.first, fragments.combined
    weight = np.maximum(scene.spots["intensity"][fragments.spot], 1e-30)
    total = _sums(of, weight, len(first))

    def mean(values: Array) -> Array:
        means: Array = _sums(of, weight * values, len(first)) / total
        return means

    omega = scene.spots["omega_recorded"][fragments.spot]
    start = omega[first]
    ring = scene.spots.integers("ring")[fragments.spot[first]]
    return Combined(
        crystal=fragments.crystal[first],
        y_plane=mean(scene.spots["y_plane"][fragments.spot]),
        z_plane=mean(scene.spots["z_plane"][fragments.spot]),
        omega=start + mean((omega - start[of] + 180) % 360 - 180),
        group=np.searchsorted(scene.rings, ring).astype(np.int32),
        intensity=total,
    )


def _fit(scene: Scene, crystals: Crystals, combined: Combined) -> tuple[Crystals, NDArray[np.bool_]]:
    """Crystals fitted to combined spots, and for which of them that succeeded."""
    offsets = np.searchsorted(combined.crystal, np.arange(len(crystals) + 1)).astype(np.int64)
    enough = np.diff(offsets) >= LEAST_SPOTS
    if not enough.any():
        return crystals, enough
    refiner = scene.refiner_of(recorded_of(combined))
    solutions, _, _, status = refiner.refine(
        crystals.u.reshape(-1, 9), crystals.position, offsets, np.arange(len(combined.crystal)), scene.threads,
        crystals.cell,
    )  # fmt: skip
    good = (status == REFINED) & enough
    pick = good[:, None]
    u = np.where(pick, solutions["orientation"], crystals.u.reshape(-1, 9)).reshape(-1, 3, 3)
    position = np.where(pick, solutions["position"], crystals.position)
    cell = np.where(pick, solutions["cell"], crystals.cell)
    return Crystals(*map(np.ascontiguousarray, (u, position, cell))), good


def recorded_of(combined: Combined) -> RecordedSpots:
    """Combined spots as the fit takes them."""
    return RecordedSpots(combined.y_plane, combined.z_plane, combined.omega, combined.group)


def spreads(fragments: Fragments, intensity: Array, crystals: int) -> Array:
    """Spread of the orientations of each crystal, and its three principal widths (FWHM), degrees; (crystals, 4).

    Rotations by a small random vector of covariance C move the directions g of a reflection by -[g]× of it, so that the
    covariance of the pieces of each reflection is linear in C. A lower bound, since pieces have a width themselves.
    """
    out = np.full((crystals, 4), np.nan)
    for c in range(crystals):
        own = fragments.crystal == c
        if own.any():
            covariance = _orientation_covariance(fragments, intensity, np.flatnonzero(own))
            widths = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0))
            out[c] = np.degrees([np.sqrt((widths**2).sum()), *(2 * np.sqrt(2 * np.log(2)) * widths)])
    return out


def _orientation_covariance(fragments: Fragments, intensity: Array, own: Integers) -> Array:
    rows, values = [], []
    for number in np.unique(fragments.combined[own]):
        piece = own[fragments.combined[own] == number]
        weight = intensity[fragments.spot[piece]] / intensity[fragments.spot[piece]].sum()
        mean = weight @ fragments.directions[piece]
        g = mean / np.linalg.norm(mean)
        across = np.linalg.svd(g[None])[2][1:]
        moved = (fragments.directions[piece] - mean) @ across.T
        of_pieces = (moved * weight[:, None]).T @ moved
        k = np.cross(g, across)
        for a, b in ((0, 0), (0, 1), (1, 1)):
            p = np.outer(k[a], k[b])
            rows.append([p[0, 0], p[1, 1], p[2, 2], p[0, 1] + p[1, 0], p[0, 2] + p[2, 0], p[1, 2] + p[2, 1]])
            values.append(of_pieces[a, b])
    xx, yy, zz, xy, xz, yz = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
