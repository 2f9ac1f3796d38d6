"""Results of the refinement: Key, OrientPosFit, ProcessKey and FitBest (spec chapter 06 §5)."""

from __future__ import annotations

from midas.formats.index import SLOT

#: ``Key.bin``: int32 (seed id, spots) per seed; (0, 0) is a seed without result
KEY_BYTES = 8

#: ``OrientPosFit.bin``: float64 per seed; the id is repeated before each group of numbers
ORIENT_POS_FIT = (
    "id",
    *(f"u{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)),
    "id_position",
    "x",
    "y",
    "z",
    "id_lattice",
    "a",
    "b",
    "c",
    "alpha",
    "beta",
    "gamma",
    "id_errors",
    "diff_pos",
    "diff_ome",
    "diff_angle",
    "radius",
    "completeness",
)
ORIENT_POS_FIT_BYTES = 8 * len(ORIENT_POS_FIT)

#: ``ProcessKey.bin``: int32 spot ids, SLOT per seed
PROCESS_KEY_BYTES = 4 * SLOT

#: ``FitBest.bin``: float64 per matched spot, SLOT spots per seed
FIT_BEST = tuple(
    "spot_id y_obs z_obs omega_obs g1_obs g2_obs g3_obs y_calc z_calc omega_calc "
    "g1_calc g2_calc g3_calc y z omega omega_raw y_no_wedge z_no_wedge internal_angle diff_len diff_ome".split()
)
FIT_BEST_BYTES = 8 * len(FIT_BEST) * SLOT
