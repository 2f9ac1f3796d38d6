"""Mosaic crystals as grains: what is known of crystals whose spots are in pieces.

See docs/theory/resolving.md#mosaic-crystals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatches
from midas.experiment.orientation import quaternions_from_matrices
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages.grains.crystals import Crystals
from midas.stages.grains.inputs import GrainInputs, quaternions
from midas.stages.grains.mosaic import RADIAL_PIXELS, Cone, Gathered, gather, recorded_of, spreads
from midas.stages.grains.ownership import assign
from midas.stages.grains.resolve import Resolved, Seeds, table_of_seeds, window_angle
from midas.stages.grains.resolved_tables import as_grains, grain_quality
from midas.stages.grains.scene import Scene
from midas.stages.grains.solutions import GrainSolutions
from midas.stages.grains.verdicts import verdicts_of


@dataclass(frozen=True)
class Mosaic:
    """Crystals with their pieces, as `Resolved` and as they were gathered."""

    resolved: Resolved
    gathered: Gathered


def gathered(seeds: Seeds, parameters: Parameters, scene: Scene, found: Resolved, px: float) -> Mosaic:
    """The crystals of `spots` with the fragments of each family as one crystal.

    Parameters
    ----------
    px : size of a pixel, µm; 0 where it is not known
    """
    tolerance = parameters["MosaicTolerance"]
    radial = max(scene.scales.window * scene.scales.spot, RADIAL_PIXELS * px)
    cone = Cone(tolerance, parameters["MosaicGap"], radial)
    got = gather(scene, found.fitted.crystals, found.assignment.owner, cone)
    crystals, rows = got.fitted.crystals, found.rows[got.kept]
    assignment = assign(_matches(scene, crystals, got), len(scene.spots))
    turned = quaternions_from_matrices(crystals.u)
    rotations = (quaternions(seeds.inputs.refined, slice(None)), turned, scene.operators)
    angles = (window_angle(scene), max(parameters["FamilyAngle"], tolerance))
    verdicts = verdicts_of(seeds.inputs, seeds.solved, rows, assignment.owner, rotations, angles)
    table = table_of_seeds(scene, seeds, assignment.owner < 0)
    table[rows] = found.seeds[rows]
    resolved = replace(
        found, rows=rows, fitted=got.fitted, assignment=assignment, significance=found.significance[got.kept],
        leader=np.arange(len(rows)), verdicts=verdicts, seeds=table, undecidable=found.undecidable[got.kept],
    )  # fmt: skip
    return Mosaic(resolved, got)


def _matches(scene: Scene, crystals: Crystals, got: Gathered) -> SharpMatches:
    """All pieces as matches of their reflections; distances are those of the pieces from the predictions."""
    p, pieces, scales = scene.predicted(crystals), got.fragments, scene.scales
    place = _name(p.crystal, p.hkl, p.branch, scene)
    order = np.argsort(place)
    at = order[np.searchsorted(place[order], _name(pieces.crystal, pieces.hkl, pieces.branch, scene))]
    y, z, omega = (scene.spots[name][pieces.spot] for name in ("y_plane", "z_plane", "omega_recorded"))
    turn = (omega - p.omega_recorded[at] + 180) % 360 - 180
    square = ((y - p.y_plane[at]) ** 2 + (z - p.z_plane[at]) ** 2) / scales.spot**2 + (turn / scales.omega) ** 2
    offsets = np.searchsorted(pieces.crystal, np.arange(len(crystals) + 1)).astype(np.int64)
    expected = scene.match(crystals).expected
    return SharpMatches(offsets, pieces.spot, pieces.hkl.astype(np.int32), pieces.branch, np.sqrt(square), expected)


def _name(
    crystal: NDArray[np.integer], hkl: NDArray[np.integer], branch: NDArray[np.integer], scene: Scene
) -> NDArray[np.int64]:
    """A number for each reflection of each crystal."""
    reflections = scene.reflections.hkl.shape[1]
    names: NDArray[np.int64] = (crystal.astype(np.int64) * reflections + hkl) * 2 + (branch > 0)
    return names


def solutions_of(inputs: GrainInputs, geometry: Parameters, scene: Scene, found: Mosaic) -> GrainSolutions:
    """The crystals as grains: every piece of a spot is listed, with the strain of the spot that the pieces make."""
    combined, pieces, crystals = found.gathered.combined, found.gathered.fragments, found.resolved.fitted.crystals
    offsets = found.gathered.fitted.offsets
    _, records, counts, _ = scene.refiner_of(recorded_of(combined)).refine(
        crystals.u.reshape(-1, 9), crystals.position, offsets, np.arange(len(combined.crystal)), scene.threads,
        crystals.cell, fit=False,
    )  # fmt: skip
    kept = records[np.arange(len(combined.crystal)) - offsets[combined.crystal] < counts[combined.crystal]]
    known = np.isin(pieces.combined, kept["row"])
    of_piece = kept[np.searchsorted(kept["row"], pieces.combined[known])]
    order = np.lexsort((pieces.spot[known], pieces.crystal[known]))
    crystal, rows, records = pieces.crystal[known][order], pieces.spot[known][order], of_piece[order]
    counted = np.zeros(len(rows), bool)
    counted[np.unique(pieces.combined[known][order], return_index=True)[1]] = True
    return as_grains(inputs, geometry, scene, found.resolved, (crystal, rows, records, counted))


def quality_of(inputs: GrainInputs, scene: Scene, found: Mosaic) -> Table:
    """``GrainQuality.csv`` of mosaic crystals: parts of the reflections that have a spot, in pieces or not."""
    table = grain_quality(inputs, scene, found.resolved)
    own = np.bincount(found.gathered.combined.crystal, minlength=len(table))
    part = own / np.maximum(table["nPredicted"], 1)
    spread = spreads(found.gathered.fragments, scene.spots["intensity"], len(table))
    columns = {name: table[name] for name in GRAIN_QUALITY.names}
    columns |= {"SharpCompleteness": part, "UniqueCompleteness": part, "nUnique": own.astype(float)}
    columns |= dict(zip(("Spread", "FWHM1", "FWHM2", "FWHM3"), spread.T, strict=True))
    return Table.from_columns(GRAIN_QUALITY.names, columns)
