"""Grains of combined spots, in the form of other grains (docs/theory/mosaic.md#tables)."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatches
from midas._ext.numerics.elementwise import cbrt, hypot
from midas._ext.refine.record import grain_radii
from midas.experiment.angles import wrapped
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.ragged import offsets_of
from midas.stages.grains.inputs import GrainInputs
from midas.stages.grains.mosaic.fragments import BrokenSpots, Cone, spread
from midas.stages.grains.mosaic.rounds import CombinedFit, MosaicModel, resolve_mosaic
from midas.stages.grains.resolve.ownership import Assignment, assign
from midas.stages.grains.resolve.refit import Fitted
from midas.stages.grains.resolve.rounds import Resolved, Seeds, described
from midas.stages.grains.resolve.scene import Scene
from midas.stages.grains.resolve.tables import grain_quality, key_of, mean_distances
from midas.stages.grains.resolve.verdicts import CRYSTAL, FRAGMENT, Verdicts
from midas.stages.grains.solutions import GrainSolutions
from midas.stages.grains.strays import counted

log = logging.getLogger(__name__)

#: least half width of the band across a ring in which fragments lie, pixels
_RADIAL_PIXELS = 2.0
_SPREAD = ("Spread", "FWHM1", "FWHM2", "FWHM3")


def model_of(parameters: Parameters, geometry: Parameters, scene: Scene) -> MosaicModel:
    """What the fit of broken spots needs.

    Parameters
    ----------
    parameters : of the stage
    geometry : of the refinement
    """
    tolerance = parameters["MosaicTolerance"]
    gap = min(parameters["MosaicGap"], tolerance)
    recorded = scene.recorded
    spots = (recorded.y_plane, recorded.z_plane, recorded.omega_recorded)
    radial = max(scene.scales.window * scene.scales.spot, _RADIAL_PIXELS * geometry.get("px", 0.0))
    return MosaicModel(
        fit=scene.fit,
        reflections=scene.model,
        rings=scene.rings,
        spots=BrokenSpots(*spots, recorded.group.astype(np.int64), scene.spots["intensity"], scene.flags.certainty),
        operators=scene.operators,
        cone=Cone(tolerance, gap, radial, float(hypot(2 * scene.r_sample, scene.h_beam / 2))),
    )


def merged(
    seeds: Seeds, parameters: Parameters, scene: Scene, found: Resolved, model: MosaicModel
) -> tuple[Resolved, CombinedFit]:
    """The crystals of each family as one grain; what is known of it, and its combined spots."""
    leader, family, fit = resolve_mosaic(model, found.fitted.crystals, found.assignment.owner, scene.threads)
    assignment = _assignment(scene, fit)
    owned = assignment.matches  # a fragment belongs to one grain
    fitted = Fitted(fit.crystals, owned.offsets, owned.spot, fit.solved)
    undecidable = set(found.rows[found.undecidable].tolist())
    again = described(seeds, parameters, scene, found.rows[leader], fitted, assignment, undecidable)
    significance = np.full(len(leader), -np.inf)
    np.maximum.at(significance, family, found.significance)
    again.seeds[again.rows, 3] = significance
    log.info("%d crystals are %d grains of %d spots", len(found.rows), len(leader), len(fit.fragments.spot))
    verdicts = _with_members(again.verdicts, found.rows, family)
    return replace(again, significance=significance, verdicts=verdicts), fit


def _assignment(scene: Scene, fit: CombinedFit) -> Assignment:
    """The fragments as the spots of their grains; distances are those of the fragments."""
    fragments, scales = fit.fragments, scene.scales
    y, z, omega = fragments.place[fragments.combined].T
    rows = fragments.spot
    turn = wrapped(scene.spots["omega_recorded"][rows] - omega)
    apart = hypot(scene.spots["y_plane"][rows] - y, scene.spots["z_plane"][rows] - z)
    distance = hypot(apart / scales.spot, turn / scales.omega)
    crystal = fragments.crystal[fragments.combined]
    order = np.lexsort((rows, distance, crystal))
    counts = np.bincount(crystal, minlength=len(fit.crystals))
    matches = SharpMatches(
        offsets_of(counts),
        rows[order],
        fragments.hkl[fragments.combined][order].astype(np.int32),
        fragments.branch[fragments.combined][order].astype(np.int8),
        distance[order],
        scene.match(fit.crystals).expected,
    )
    return assign(matches, scene.place)


def _with_members(verdicts: Verdicts, rows: NDArray[np.int64], family: NDArray[np.int64]) -> Verdicts:
    """The rows of crystals that are now one with another are its fragments, wherever most of their spots went."""
    verdict, crystal = verdicts.verdict.copy(), verdicts.crystal.copy()
    others = verdict[rows] != CRYSTAL
    verdict[rows[others]], crystal[rows[others]] = FRAGMENT, family[others]
    return Verdicts(verdict, crystal)


def solutions_of(
    inputs: GrainInputs, geometry: Parameters, scene: Scene, found: Resolved, fit: CombinedFit
) -> GrainSolutions:
    """The grains; each lists all its fragments, a combined spot counts once for the strain."""
    fragments = fit.fragments
    combined, crystal = fragments.combined, fragments.crystal[fragments.combined]
    order = np.lexsort((fragments.spot, crystal))
    combined, crystal, rows = combined[order], crystal[order], fragments.spot[order]
    first = np.zeros(len(rows), bool)
    first[np.unique(combined, return_index=True)[1]] = True
    n = len(fit.crystals)
    return GrainSolutions(
        ids=inputs.seeds[found.rows],
        orientation=fit.crystals.u.reshape(-1, 9),
        position=fit.crystals.position,
        cell=fit.crystals.cell,
        **mean_distances(fit.matched, fragments.crystal, n),
        grain_radius=_radii(geometry, scene, fit),
        completeness=inputs.refined.column("completeness")[found.rows],
        offsets=offsets_of(np.bincount(crystal, minlength=n)),
        spots=rows + 1,
        y_centred=fit.matched["y_centred"][combined],
        z_centred=fit.matched["z_centred"][combined],
        normals=fit.matched["g_observed"][combined],
        counted=counted(crystal, n, fit.matched["diff_pos"][combined], first, geometry.get("px")),
        key=key_of(inputs, found),
    )


def _radii(geometry: Parameters, scene: Scene, fit: CombinedFit) -> NDArray[np.float64]:
    """Grain radii: the volumes of the fragments of a spot add up."""
    fragments = fit.fragments
    starts = fragments.offsets[:-1]
    volumes = scene.spots["grain_radius"][fragments.spot] ** 3
    radii = cbrt(np.add.reduceat(volumes, starts)) if len(starts) else np.empty(0)
    rejected = np.isin(scene.rings[fit.combined.group], geometry["RingsToReject"]).astype(np.uint8)
    offsets = np.searchsorted(fragments.crystal, np.arange(len(fit.crystals) + 1)).astype(np.int64)
    return grain_radii(offsets, np.arange(len(radii)), radii, rejected, geometry["TakeGrainMax"] == 1)


def quality_of(inputs: GrainInputs, scene: Scene, found: Resolved, model: MosaicModel, fit: CombinedFit) -> Table:
    """``GrainQuality.csv`` with what the combined spots say: completeness and spread."""
    quality, n = grain_quality(inputs, scene, found), len(fit.crystals)
    complete = np.bincount(fit.fragments.crystal, minlength=n) / np.maximum(quality["nPredicted"], 1)
    quality["SharpCompleteness"][:] = quality["UniqueCompleteness"][:] = complete
    for name, values in zip(_SPREAD, spread(model.spots, fit.fragments, n).T, strict=True):
        quality[name][:] = values
    return quality
