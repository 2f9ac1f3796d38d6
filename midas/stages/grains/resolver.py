"""The resolution step: its inputs, its order, and the tables that it leaves (docs/theory/resolving.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.formats import hkls as hkl_list
from midas.formats.layer import Layer
from midas.formats.resolved import GRAIN_QUALITY, SEED_VERDICTS, SPOT_OWNERS, format_verdicts
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages.grains import legacy_selection
from midas.stages.grains.inputs import GrainInputs
from midas.stages.grains.mosaic import tables as mosaic
from midas.stages.grains.mosaic.rounds import MosaicModel
from midas.stages.grains.resolve.near_symmetry import NearSymmetry
from midas.stages.grains.resolve.rounds import Resolved, Seeds, resolve, seeds_of, tracked
from midas.stages.grains.resolve.scales import scales_of
from midas.stages.grains.resolve.scene import Scene, scene_of
from midas.stages.grains.resolve.tables import (
    grain_quality,
    seed_verdicts,
    solutions_of,
    spot_owners,
    summary_of,
)
from midas.stages.grains.solutions import GrainSolutions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedTables:
    """What is known of spots, grains and seeds, and how many seeds became what.

    `unowned` are the ids of the accepted spots that no crystal explains sharply.
    """

    spot_owners: Table
    grain_quality: Table
    seed_verdicts: Table
    counts: dict[str, int]
    unowned: NDArray[np.int64]

    def contents(self, layer: Layer) -> dict[Path, bytes]:
        """The files and what they hold."""
        return {
            layer.spot_owners: SPOT_OWNERS.format(self.spot_owners),
            layer.grain_quality: GRAIN_QUALITY.format(self.grain_quality),
            layer.seed_verdicts: format_verdicts(self.seed_verdicts),
        }

    def rounded(self) -> dict[str, Table]:
        """The tables as their files hold them."""
        return {
            "spot_owners": SPOT_OWNERS.rounded(self.spot_owners),
            "grain_quality": GRAIN_QUALITY.rounded(self.grain_quality),
            "seed_verdicts": SEED_VERDICTS.rounded(self.seed_verdicts),
        }


def check(parameters: Parameters) -> None:
    """A `ParameterError` for a value that cannot be, before anything is written.

    Parameters
    ----------
    parameters : of the stage
    """
    if parameters["GrainMerging"] == "legacy":
        return
    for key in ("OwnWindow", "UniqueCompleteness", "MinUniqueSpots", "MinSignificance", "FamilyAngle", "MinNrSpots"):
        parameters[key]  # which looks at it
    if "OwnSigma" in parameters:
        parameters["OwnSigma"]
    tolerance, gap = parameters["MosaicTolerance"], parameters["MosaicGap"]
    if gap > tolerance and "MosaicGap" in parameters:
        raise parameters.error("MosaicGap", f"must not be above MosaicTolerance, which is {tolerance:g}")


class Resolver:
    """Gives every spot an owner.

    Parameters
    ----------
    layer : whose paramstest.txt says how the spots were corrected
    parameters : of the stage, which also stand for paramstest.txt where there is neither that nor an archive
    inputs : of the stage
    operators : (k, 4), proper rotations of the lattice
    hkls : the table of hkls.csv, if it is in memory
    """

    def __init__(
        self,
        layer: Layer,
        parameters: Parameters,
        inputs: GrainInputs,
        operators: NDArray[np.float64],
        hkls: Table | None,
        threads: int,
    ):
        self.layer, self.inputs, self.operators, self.threads = layer, inputs, operators, threads
        self.parameters, self._given, self._hkls = parameters.for_stage("grains"), parameters, hkls

    @cached_property
    def geometry(self) -> Parameters:
        """What the spots were corrected for, and the bounds of a fit."""
        path, written = self.layer.paramstest, self._given
        if self.layer.archive is not None or path.exists():
            written = Parameters.read(path, "paramstest")
        return written.for_stage("refinement")

    def resolved(self, solved: NDArray[np.bool_]) -> tuple[GrainSolutions, ResolvedTables]:
        """The grains of a run, and the tables about them."""
        least = self.parameters["MinNrSpots"]
        if least > 1:
            log.warning("MinNrSpots %d may drop grains: with their own spots they are safe from one seed on", least)
        symmetry = NearSymmetry.of(self.parameters, self.geometry)
        refined = symmetry.least_strained(self.inputs.refined, np.flatnonzero(solved))
        self.inputs = replace(self.inputs, refined=refined)
        broken = self.parameters["GrainMerging"] == "mosaic"
        scene, seeds = self._scene(solved)
        model = mosaic.model_of(self.parameters, self.geometry, scene) if broken else None
        found = resolve(seeds, self.parameters, scene)
        if model is not None and len(found.rows):
            return self._mosaic(scene, seeds, found, model)
        grains = solutions_of(self.inputs, self.geometry, scene, found)
        return grains, self._tables(scene, found, grain_quality(self.inputs, scene, found, grains))

    def _mosaic(
        self, scene: Scene, seeds: Seeds, found: Resolved, model: MosaicModel
    ) -> tuple[GrainSolutions, ResolvedTables]:
        """The same with the crystals of a family as one grain."""
        unowned = self._unowned(found)
        found, fit = mosaic.merged(seeds, self.parameters, scene, found, model)
        quality = mosaic.quality_of(self.inputs, scene, found, model, fit)
        # What a grain gathers far from its prediction may be another grain's that is yet to be found.
        about = replace(self._tables(scene, found, quality), unowned=unowned)
        return mosaic.solutions_of(self.inputs, self.geometry, scene, found, fit), about

    def tracked(self, solved: NDArray[np.bool_]) -> tuple[GrainSolutions, ResolvedTables]:
        """Every solution as a grain, and the tables about them."""
        grains = legacy_selection.select(self.inputs, self.parameters, solved, self.operators, True)
        scene, seeds = self._scene(solved)
        found = tracked(seeds, self.parameters, scene, legacy_selection.tracked_rows(self.inputs, solved))
        return grains, self._tables(scene, found, grain_quality(self.inputs, scene, found))

    def _scene(self, solved: NDArray[np.bool_]) -> tuple[Scene, Seeds]:
        px, step = self.geometry.get("px", 0.0), self.parameters.get("OmegaStep", 0.0)
        scales = scales_of(self.inputs, self.parameters, np.flatnonzero(solved), px, step)
        hkls = hkl_list.LAYOUT.read(self.layer.hkls) if self._hkls is None else self._hkls
        scene = scene_of(self.layer, self.geometry, hkls, self.inputs.spots, scales, self.operators, self.threads)
        return scene, seeds_of(self.inputs, scene, solved)

    def _tables(self, scene: Scene, found: Resolved, quality: Table) -> ResolvedTables:
        return ResolvedTables(
            spot_owners(self.inputs, scene, found),
            quality,
            seed_verdicts(self.inputs, found),
            summary_of(scene, found),
            self._unowned(found),
        )

    def _unowned(self, found: Resolved) -> NDArray[np.int64]:
        return np.flatnonzero((found.assignment.owner < 0) & (self.inputs.spots["ring"] > 0)) + 1
