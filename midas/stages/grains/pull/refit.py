"""Grains refined on their measured spots: the joint fit of the refinement, whatever made the grains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.record import MATCHED_SPOT
from midas._ext.refine.refiner import REFINED
from midas.experiment.crystals import Crystals
from midas.experiment.seed_fit import GrainFit, recorded_spots, reflections_in_use
from midas.formats.layer import Layer
from midas.formats.measured import FEWEST_SPOTS
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.ragged import entries_of, offsets_of


@dataclass(frozen=True)
class Refit:
    """Grains after a fit.

    Parameters
    ----------
    crystals : those that were refined are new, the others as before
    refined : (n,) bool
    errors : (n, 3) float64, means over the spots of a grain: µm, degrees, degrees; NaN where it was not refined
    offsets, spots : (n + 1,) int64, and the records of `midas._ext.refine.record.MATCHED_SPOT`, grain after grain
    """

    crystals: Crystals
    refined: NDArray[np.bool_]
    errors: NDArray[np.float64]
    offsets: NDArray[np.int64]
    spots: NDArray[np.void]


def refit(
    layer: Layer, of_setup: Parameters, region: AcceptedRegion, hkls: Table, crystals: Crystals, spots: Table,
    owner: NDArray[np.int32], threads: int,
) -> Refit:  # fmt: skip
    """Refine every grain that has spots enough, by the joint fit, whatever `RefineMethod` says.

    Parameters
    ----------
    of_setup : of paramstest.txt
    region : where spots can be observed
    spots : y_plane, z_plane (µm), omega_recorded (degrees) and ring of the measured spots, grain after grain
    owner : (m,) int32, which of the crystals each spot belongs to, rising
    """
    n = len(crystals)
    counts = np.bincount(owner, minlength=n)
    offsets = offsets_of(counts)
    rows = np.where(counts[owner] >= FEWEST_SPOTS, np.arange(len(owner)), -1).astype(np.int64)
    if not (rows >= 0).any():
        return Refit(
            crystals, np.zeros(n, bool), np.full((n, 3), np.nan), np.zeros(n + 1, np.int64), np.empty(0, MATCHED_SPOT)
        )
    settings = of_setup.for_stage("refinement")
    reflections, rings = reflections_in_use(layer, settings, hkls)
    refiner = GrainFit.of(settings, region, reflections).refiner(recorded_spots(spots, rings))
    solutions, matched, kept, status = refiner.refine(
        np.ascontiguousarray(crystals.u.reshape(-1, 9)), np.ascontiguousarray(crystals.position), offsets, rows, threads
    )
    refined = (status == REFINED) & (kept >= FEWEST_SPOTS)
    kept = np.where(refined, kept, 0)
    errors = np.stack([solutions[name] for name in ("diff_pos", "diff_ome", "diff_angle")], axis=1)
    return Refit(
        crystals.where(refined, solutions),
        refined,
        np.where(refined[:, None], errors, np.nan),
        offsets_of(kept),
        matched[entries_of(offsets[:-1], kept)],
    )
