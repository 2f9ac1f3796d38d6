"""Rows of a slot file that the last run of a stage has not written (docs/theory/indexing.md#marks)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.formats.marks import described, marks_file, unwritten
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)


def missing_rows(
    path: Path, rows: range, passes: Sequence[int], program: str, *, allow_partial: bool, record: int
) -> NDArray[np.bool_] | None:
    """Flags of the rows that count as if nothing was found; None where there are none.

    Parameters
    ----------
    path : the slot file
    passes : seeds of each indexing pass
    program : that writes it
    allow_partial : whether missing rows are a warning
    record : bytes of a slot; those behind the end of a file with marks are missing, too

    Raises
    ------
    FormatError : for missing rows, with their numbers
    """
    missing = unwritten(path, rows, passes)
    if marks_file(path).exists() and path.exists():
        missing[max(path.stat().st_size // record - rows.start, 0) :] = True
    if not missing.any():
        return None
    which = f"by the last run of {program} {described(missing, rows.start, sum(passes))} not written"
    if not allow_partial:
        reason = f"{which}; run {program} again for what is missing, or give -allowPartial 1 to go on without"
        raise FormatError(reason, file=path)
    log.warning("%s: %s; what is missing counts as not found", path, which)
    return missing
