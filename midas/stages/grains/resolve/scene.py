"""What all crystals of a layer share when spots are given to them (docs/theory/resolving.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatcher, SharpMatches
from midas._ext.grains.reflections import PredictedReflections, ReflectionModel
from midas._ext.numerics.elementwise import hypot
from midas._ext.refine.refiner import Refiner
from midas._ext.refine.settings import RecordedSpots, Reflections
from midas.experiment.crystals import Crystals
from midas.experiment.region import ANY_OMEGA, UNLIMITED, accepted_region
from midas.experiment.seed_fit import GrainFit, recorded_spots, reflections_in_use
from midas.experiment.sharp_match import Scales, matcher_of
from midas.experiment.spot_flags import SpotFlags, read_spot_flags
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import StageError
from midas.runtime.ragged import offsets_of

log = logging.getLogger(__name__)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """The spots, the reflections that could be theirs, and the instrument.

    Parameters
    ----------
    spots : the spot table
    rings : (r,) int32, the rings in use that have spots, ascending
    used : (s,) bool, which spots lie on these
    flags : which spots are saturated
    place : (s,) int64, the first row with the same measured spot: one in the bands of two rings has two rows
    reflections : the reflections in use
    scales : of a sharp match
    operators : (k, 4), proper rotations of the lattice
    r_sample, h_beam : half width and height of the sample, µm
    omega_range : degrees of rotation in which spots are accepted
    open_azimuth : part of the azimuth in which spots are accepted
    model : predicts the reflections that can be observed
    matcher : finds the sharp matches of crystals
    fit : of crystals to their spots; a spot that a crystal owns is its spot, wherever its prediction ends up in a fit,
        so that the region of the fit has no limits
    recorded : the spots as a fit takes them
    refiner : the fit to these
    """

    spots: Table
    rings: NDArray[np.int32]
    used: NDArray[np.bool_]
    flags: SpotFlags
    place: NDArray[np.int64]
    reflections: Reflections
    scales: Scales
    operators: Array
    r_sample: float
    h_beam: float
    omega_range: float
    open_azimuth: float
    model: ReflectionModel
    matcher: SharpMatcher
    fit: GrainFit
    recorded: RecordedSpots
    refiner: Refiner
    threads: int

    @cached_property
    def ring_shapes(self) -> tuple[Array, Array]:
        """Radius of each ring, and the width of the band of its spots, µm."""
        ring = self.spots.integers("ring")
        radius = hypot(self.spots["y_plane"], self.spots["z_plane"])
        own = [radius[ring == number] for number in self.rings]
        width = [max(4 * r.std(), self.scales.spot) for r in own]
        return np.array([r.mean() for r in own]), np.array(width)

    def match(self, crystals: Crystals) -> SharpMatches:
        """Sharp matches of crystals with the whole spot table."""
        return self.matcher.match(self.model, crystals.u, crystals.position, crystals.cell, self.threads)

    def predicted(self, crystals: Crystals) -> PredictedReflections:
        """The reflections of crystals."""
        return crystals.predicted(self.model, self.threads)

    def matcher_of(self, y: Array, z: Array, omega: Array, ring: NDArray[np.int32]) -> SharpMatcher:
        """A matcher with the same scales for other places."""
        return matcher_of((y, z, omega), ring, self.rings, self.scales)


def scene_of(
    layer: Layer,
    geometry: Parameters,
    hkls: Table,
    spots: Table,
    scales: Scales,
    operators: Array,
    threads: int,
) -> Scene:
    """The scene of a layer.

    Parameters
    ----------
    geometry : of the refinement, with its defaults
    """
    everything, numbers = reflections_in_use(layer, geometry, hkls)
    ring = spots.integers("ring").astype(np.int32)
    filled = np.isin(numbers, ring)
    for number in numbers[~filled]:
        log.warning("ring %d of RingNumbers has no spots and is left out", number)
    if not filled.any():
        raise StageError("holds no spot of the RingNumbers", file=layer.extra_info)
    reflections, rings = _of_rings(everything, numbers, filled)
    fit = GrainFit.of(geometry, UNLIMITED, reflections)
    region = accepted_region(geometry, layer.detector_mask, layer.detector_pixels)
    flags = read_spot_flags(layer, len(spots))
    recorded = recorded_spots(spots, rings, flags.certainty)
    of_reflection = np.repeat(rings, np.diff(reflections.first)).astype(np.int32)
    places = (recorded.y_plane, recorded.z_plane, recorded.omega_recorded)
    ranges = geometry["OmegaRange"] or (ANY_OMEGA,)
    return Scene(
        spots=spots,
        rings=rings.astype(np.int32),
        used=np.isin(ring, rings),
        flags=flags,
        place=_places(spots),
        reflections=reflections,
        scales=scales,
        operators=operators,
        r_sample=geometry["Rsample"],
        h_beam=geometry["Hbeam"],
        omega_range=min(sum(high - low for low, high in ranges), 360.0),
        open_azimuth=max(1.0 - geometry["MinEta"] / 90.0, 1e-3),
        model=ReflectionModel(reflections.hkl, of_reflection, fit.instrument, region),
        matcher=matcher_of(places, ring, rings.astype(np.int32), scales),
        fit=fit,
        recorded=recorded,
        refiner=fit.refiner(recorded),
        threads=threads,
    )


def _places(spots: Table) -> NDArray[np.int64]:
    """(s,) the first row that was measured at the same pixel and angle."""
    measured = np.stack([spots[name] for name in ("y_recorded", "z_recorded", "omega_recorded")])
    _, first, which = np.unique(measured, axis=1, return_index=True, return_inverse=True)
    return np.asarray(first[which.ravel()], np.int64)


def _of_rings(
    reflections: Reflections, rings: NDArray[np.int64], kept: NDArray[np.bool_]
) -> tuple[Reflections, NDArray[np.int64]]:
    """The reflections of some of the rings."""
    counts = np.diff(reflections.first)
    hkl = np.ascontiguousarray(reflections.hkl[:, np.repeat(kept, counts)])
    first = offsets_of(counts[kept]).astype(np.int32)
    return Reflections(hkl, first), rings[kept]
