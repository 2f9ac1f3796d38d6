"""Seeds that need no search: a crystal that is found explains them (docs/theory/indexing.md#explained-seeds)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatcher
from midas._ext.grains.reflections import ReflectionModel
from midas._ext.refine.refiner import REFINED
from midas.experiment.crystals import Crystals
from midas.experiment.region import accepted_region
from midas.experiment.seed_fit import GrainFit, recorded_spots, reflections_in_use
from midas.experiment.sharp_match import Scales, matcher_of
from midas.experiment.spot_flags import read_spot_flags
from midas.formats.index import IndexedSeeds
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.ragged import entries_of, middles_of, offsets_of

#: part of its reflections that must lie at spots which no other crystal explains, before a crystal explains any
LEAST_PART = 0.6
#: part of the window of a sharp match: a spot farther from its prediction may be another crystal's, of nearly the same
#: orientation or place
NEAR = 3 / 7


class Solutions(NamedTuple):
    """Refined solutions of seeds, and the median distances of their spots (2, n), µm and degrees."""

    crystals: Crystals
    medians: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Solutions]) -> Solutions:
        """One part after the other."""
        arrays = (np.concatenate(arrays) for arrays in zip(*(_arrays(part.crystals) for part in parts), strict=True))
        return cls(Crystals(*arrays), np.concatenate([part.medians for part in parts], axis=1))


_NONE = Solutions(Crystals(np.empty((0, 3, 3)), np.empty((0, 3)), np.empty((0, 6))), np.empty((2, 0)))


def _arrays(crystals: Crystals) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    return crystals.u, crystals.position, crystals.cell


class Explanation:
    """The spots that the crystals found so far explain.

    Parameters
    ----------
    layer : whose mask and pixels limit the region
    refinement, indexing : parameters
    hkls : the table of hkls.csv
    spots : the table of ExtraInfo.bin
    threads : of the fits

    Attributes
    ----------
    explained : (s,) bool, by row of the spots
    """

    def __init__(
        self, layer: Layer, refinement: Parameters, indexing: Parameters, hkls: Table, spots: Table, threads: int
    ):
        reflections, self._rings = reflections_in_use(layer, refinement, hkls)
        region = accepted_region(refinement, layer.detector_mask, layer.detector_pixels)
        fit = GrainFit.of(refinement, region, reflections)
        self._recorded = recorded_spots(spots, self._rings, read_spot_flags(layer, len(spots)).certainty)
        self._refiner = fit.refiner(self._recorded)
        of_reflection = np.repeat(self._rings, np.diff(reflections.first)).astype(np.int32)
        self._model = ReflectionModel(reflections.hkl, of_reflection, fit.instrument, region)
        self._ring = spots.integers("ring").astype(np.int32)
        self._parameters, self._threads = indexing, threads
        self._steps = (refinement.get("px", 0.0), indexing.get("OmegaStep", 0.0))
        self._matcher: SharpMatcher | None = None
        self.explained = np.zeros(len(spots), bool)
        self._owned = np.zeros(len(spots), bool)

    def refined(self, found: IndexedSeeds) -> Solutions:
        """What the indexer has found, fitted to the spots that it has matched."""
        solved = np.flatnonzero(found.found)
        if not len(solved):
            return _NONE
        lengths = np.diff(found.offsets)[solved]
        rows, offsets = found.ids[entries_of(found.offsets[:-1][solved], lengths)] - 1, offsets_of(lengths)
        u, position = (np.ascontiguousarray(found.column(name)[solved]) for name in ("orientation", "position"))
        solutions, fitted, counts, status = self._refiner.refine(u, position, offsets, rows, self._threads)
        good = status == REFINED
        fitted = fitted[entries_of(offsets[:-1][good], counts[good])]
        parts = offsets_of(counts[good])
        medians = [middles_of(fitted[name], parts).sum(axis=0) / 2 for name in ("diff_pos", "diff_ome")]
        u, position, cell = (
            np.ascontiguousarray(solutions[name][good]) for name in ("orientation", "position", "cell")
        )
        return Solutions(Crystals(u.reshape(-1, 3, 3), position, cell), np.array(medians))

    def add(self, solutions: Solutions) -> None:
        """Take those for crystals that stand for themselves, and their spots for explained.

        The one with most sharp matches comes first. The scales are those of the first solutions.
        """
        if not len(solutions.crystals):
            return
        u, position, cell = _arrays(solutions.crystals)
        matches = self._matcher_of(solutions).match(self._model, u, position, cell, self._threads)
        number, expected = np.diff(matches.offsets), matches.expected.sum(axis=1)
        first, end = matches.offsets[:-1].tolist(), matches.offsets[1:].tolist()
        near = NEAR * self._parameters["OwnWindow"]
        for i in np.argsort(-number, kind="stable").tolist():
            own = matches.spot[first[i] : end[i]]
            alone = len(own) - np.count_nonzero(self._owned[own])
            if alone >= max(LEAST_PART * expected[i], self._parameters["MinUniqueSpots"]):
                self._owned[own] = True
                self.explained[own[matches.distance[first[i] : end[i]] <= near]] = True

    def _matcher_of(self, solutions: Solutions) -> SharpMatcher:
        if self._matcher is None:
            medians = None if "OwnSigma" in self._parameters else solutions.medians
            scales = Scales.of(self._parameters, medians, *self._steps)
            places = (self._recorded.y_plane, self._recorded.z_plane, self._recorded.omega_recorded)
            self._matcher = matcher_of(places, self._ring, self._rings.astype(np.int32), scales)
        return self._matcher
