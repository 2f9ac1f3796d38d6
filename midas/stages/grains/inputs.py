"""What the grain stage reads: seeds, their refined solutions, and the spots with the spacings of their rings.

See docs/theory/grains.md#checks-on-the-input.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import quaternions_from_matrices
from midas.formats import hkls as hkls_format
from midas.formats import passes
from midas.formats import spots as spot_formats
from midas.formats.binary import numbers
from midas.formats.cells import are_rotations
from midas.formats.index import read as read_indexed
from midas.formats.layer import Layer
from midas.formats.refined import KEY_BYTES, RefinedSeeds, read_refined
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, NothingFoundError
from midas.stages.missing_rows import missing_rows

log = logging.getLogger(__name__)

#: beyond these a number of the refinement is none: of anything in a result, and of a rotation matrix
LARGEST, _LARGEST_COSINE = 1e12, 2.0

_NO_SEEDS = "No ID was found in SpotsToIndex.csv file. Please check your parameters file."
_NO_SOLUTIONS = (
    "No seed has a solution. This means nothing was indexed in the previous step. "
    "Check the ring thresholds, the detector geometry and MinMatchesToAcceptFrac"
)


@dataclass(frozen=True)
class GrainInputs:
    """What the stage works on."""

    seeds: NDArray[np.int64]
    refined: RefinedSeeds
    spots: Table
    spacings: NDArray[np.float64]  # of the ring of spot id i, at [i]; 0 where there is none
    first_pass: int  # so many rows of the seeds; those behind them are of later passes


def read_inputs(
    layer: Layer,
    refined: RefinedSeeds | None,
    extra_info: Table | None,
    ids_hash: Table | None,
    hkls: Table | None,
    *,
    allow_partial: bool = False,
) -> GrainInputs:
    """The inputs of a layer, checked; those in memory are not read. See `midas.stages.grains.run`."""
    log.info("Reading IDs file: %s", layer.spots_to_index.name)
    seeds = spot_formats.read_seed_ids(layer.spots_to_index)
    if not len(seeds):
        raise NothingFoundError(_NO_SEEDS, nothing="no seeds")
    log.info("Total of %d IDs will be sorted into grains now.", len(seeds))
    if refined is None:
        if not layer.key.exists():
            raise FormatError("is missing: there are no refined seeds; run ff-refine first", file=layer.key)
        rows, sizes = range(len(seeds)), passes.sizes(layer, len(seeds))
        missing = missing_rows(layer.key, rows, sizes, "ff-refine", allow_partial=allow_partial, record=KEY_BYTES)
        refined = read_refined(layer, len(seeds), missing)
    if not refined.key[:, 0].any():
        _check_refined(layer, len(seeds))
        raise NothingFoundError(_NO_SOLUTIONS, nothing="nothing was indexed")
    spots = spot_formats.EXTRA_INFO.read(layer.extra_info) if extra_info is None else extra_info
    spacings = _ring_spacings(layer, spots, ids_hash, hkls)
    inputs = GrainInputs(seeds, refined, spots, spacings, passes.first_pass(layer, len(seeds)))
    _check(layer, inputs)
    log.info("Read all grain files.")
    return inputs


def _check_refined(layer: Layer, seeds: int) -> None:
    """FormatError where the indexer has found seeds of which ``Key.bin`` has not one."""
    if not (layer.index_best.exists() and layer.index_best_full.exists()):
        return
    found = np.count_nonzero(read_indexed(layer.index_best, layer.index_best_full, range(seeds)).found)
    if found:
        reason = f"has no refined seed, but the indexer has found {found}: no one could be refined, or it is damaged"
        raise FormatError(f"{reason}; run ff-refine again, which says why", file=layer.key)


def _ring_spacings(layer: Layer, spots: Table, ids_hash: Table | None, hkls: Table | None) -> NDArray[np.float64]:
    """Lattice spacing of the ring of each spot id."""
    if ids_hash is None and layer.ids_hash.exists():
        ids_hash = spot_formats.IDS_HASH.read(layer.ids_hash)
    spacings = np.zeros(len(spots) + 1)
    if ids_hash is None:
        hkls = hkls_format.LAYOUT.read(layer.hkls) if hkls is None else hkls
        of_ring = dict(zip(hkls.integers("ring").tolist(), hkls["d_spacing"].tolist(), strict=True))
        spacings[1:] = [of_ring.get(ring, 0.0) for ring in spots.integers("ring").tolist()]
        return spacings
    ranges = zip(ids_hash.integers("first_id"), ids_hash.integers("end_id"), ids_hash["d_spacing"], strict=True)
    for first, end, spacing in ranges:
        # The end is one past the last id of the ring; a later ring that starts there takes it back.
        spacings[first : end + 1] = spacing
    return spacings


def _check(layer: Layer, inputs: GrainInputs) -> None:
    """The files belong together and every id that is used exists."""
    seeds, refined, spots = inputs.seeds, inputs.refined, inputs.spots
    if (bad := np.flatnonzero(spots["spot_id"] != np.arange(1, len(spots) + 1))).size:
        reason = f"holds SpotID {spots['spot_id'][bad[0]]:g} where {bad[0] + 1} must stand; ids count the lines"
        raise FormatError(reason, file=layer.extra_info, line=int(bad[0]) + 2)
    if len(refined.key) != len(seeds):
        raise FormatError(f"has {len(refined.key)} rows for {len(seeds)} seeds", file=layer.key)
    key = refined.key[:, 0]
    if (bad := np.flatnonzero((key != 0) & ((seeds < 1) | (seeds > len(spots))))).size:
        reason = f"is no spot of {layer.extra_info.name} (1 ... {len(spots)})"
        raise FormatError(reason, file=layer.spots_to_index, line=int(bad[0]) + 1, value=seeds[bad[0]])
    if (bad := np.flatnonzero((key != 0) & (key != seeds))).size:
        reason = (
            f"row {bad[0]} is seed {key[bad[0]]}, in {layer.spots_to_index.name} it is {seeds[bad[0]]}; rerun refine"
        )
        raise FormatError(reason, file=layer.key)
    ids = refined.spot_ids
    if (wrong := np.flatnonzero((ids < 1) | (ids > len(spots)))).size:
        row = int(np.searchsorted(refined.offsets, wrong[0], side="right")) - 1
        reason = f"row {row} holds spot id {ids[wrong[0]]}, which {layer.extra_info.name} does not have"
        raise FormatError(reason, file=layer.process_key)


def sample_distance(layer: Layer, parameters: Parameters) -> float:
    """Sample to detector: with an archive the fitted one of ``paramstest.txt``, for which the spots were corrected."""
    source = parameters
    if layer.archive is not None and layer.paramstest.exists():
        fitted = Parameters.read(layer.paramstest, "paramstest").for_stage("grains")
        source = fitted if "Lsd" in fitted else parameters
    lsd: float = source["Lsd"]
    return lsd


def solved_rows(inputs: GrainInputs) -> NDArray[np.bool_]:
    """Rows with a usable solution."""
    refined = inputs.refined
    found = refined.key[:, 0] != 0
    without_spots = found & (np.diff(refined.offsets) == 0)
    matrices = refined.column("orientation")
    # NaN fails both comparisons.
    sound = (np.abs(numbers(refined.orient_pos_fit)) < LARGEST).all(axis=1)
    sound &= (np.abs(matrices) < _LARGEST_COSINE).all(axis=1)
    not_finite = found & ~sound
    known = np.asarray(sound, bool)
    turned = found & known & ~are_rotations(np.where(known[:, None], matrices, 0.0).reshape(-1, 3, 3))
    reasons = {
        "no matched spot": without_spots,
        "numbers that are not finite or too large": not_finite,
        "orientations that are no rotations": turned,
    }
    for reason, rows in reasons.items():
        if rows.any():
            log.warning("%d solutions have %s and are left out (first: row %d)", rows.sum(), reason, np.argmax(rows))
    solved: NDArray[np.bool_] = found & ~without_spots & ~not_finite & ~turned
    return solved


def quaternions(refined: RefinedSeeds, rows: NDArray[np.int64] | slice) -> NDArray[np.float64]:
    """Orientations of these rows, (n, 4)."""
    matrices = refined.column("orientation")[rows].reshape(-1, 3, 3)
    # Rows without a usable solution, which are zeros or anything: any rotation will do for them.
    usable = (np.abs(matrices) < _LARGEST_COSINE).all(axis=(1, 2), keepdims=True)
    usable &= matrices.any(axis=(1, 2), keepdims=True)
    return quaternions_from_matrices(np.where(usable, matrices, np.eye(3)))


def checked_fits(inputs: GrainInputs, rows: NDArray[np.int64]) -> NDArray[np.void]:
    """FitBest records of these rows, one after the other: sound numbers of the spots that ProcessKey lists."""
    refined = inputs.refined
    fitted = refined.fit_rows(rows)
    ranges = [refined.spot_ids[refined.offsets[r] : refined.offsets[r + 1]] for r in rows]
    spots = np.concatenate(ranges).astype(np.int64) if ranges else np.empty(0, np.int64)
    owners = np.repeat(rows, [len(r) for r in ranges])
    if (bad := np.flatnonzero(fitted["spot_id"] != spots)).size:
        row = owners[bad[0]]
        raise FormatError(f"row {row} lists other spots than ProcessKey.bin; rerun refine", file=refined.fit_best_file)
    if (bad := np.flatnonzero(~(np.abs(numbers(fitted)) < LARGEST).all(axis=1))).size:
        reason = f"row {owners[bad[0]]} holds numbers that are not finite or too large; rerun refine"
        raise FormatError(reason, file=refined.fit_best_file)
    return fitted
