"""Rows of a slot file that the last run of a stage has not written (docs/theory/indexing.md#marks)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.formats.marks import described, unwritten
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)


def missing_rows(
    path: Path, rows: range, passes: Sequence[int], program: str, *, allow_partial: bool
) -> NDArray[np.bool_] | None:
    """Flags of the rows that count as if nothing was found; None where there are none.

    Parameters
    ----------
    path : the slot file
    passes : seeds of each indexing pass
    program : that writes it
    allow_partial : whether missing rows are a warning

    Raises
    ------
    FormatError : for missing rows, with their numbers
    """
    missing = unwritten(path, rows, passes)
    if not missing.any():
        return None
    which = described(missing, rows.start, sum(passes))
    if not allow_partial:
        reason = f"{which} were not written by the last run of {program}; run {program} for them again"
        raise FormatError(f"{reason}, or give -allowPartial 1 to go on without them", file=path)
    log.warning("%s: %s were not written by the last run of %s and count as not found", path, which, program)
    return missing
