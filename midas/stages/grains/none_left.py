"""Which limit keeps the solutions from becoming grains, by what ``SeedVerdicts.csv`` knows of them.

See docs/theory/resolving.md#selection.
"""

from __future__ import annotations

import math

import numpy as np

from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages.grains.resolve.verdicts import UNSUPPORTED

#: a solution with less than this part of its reflections within the window may have too small a window
_POOR = 0.5


def limit_at_fault(verdicts: Table, parameters: Parameters) -> str:
    """The key that drops the solutions without a grain, with their numbers; "" where none of them can be blamed.

    Parameters
    ----------
    verdicts : the table of SeedVerdicts.csv, with the verdicts as their numbers
    parameters : of the grain stage, without the legacy rule
    """
    rows = (verdicts["Verdict"] == UNSUPPORTED) & (verdicts["nPredicted"] > 0)
    if not rows.any():
        return ""
    left = verdicts.take(rows)
    needed = np.maximum(parameters["MinUniqueSpots"], parameters["UniqueCompleteness"] * left["nPredicted"])
    enough = left["nUnique"] >= needed
    if not enough.any():
        return _too_few_spots(left, parameters)
    significance, least = left["Significance"][enough], parameters["MinSignificance"]
    of = f"{np.count_nonzero(enough)} of {len(left)} solutions without a grain own enough spots alone"
    if not (significance >= least).any():
        return f"MinSignificance {least:g} is too much: {of}, and the most significant one has {significance.max():.1f}"
    if parameters["MinNrSpots"] > 1:
        return f"MinNrSpots {parameters['MinNrSpots']} is too much: {of}, but no grain has as many seeds"
    return ""


def _too_few_spots(left: Table, parameters: Parameters) -> str:
    """No solution has the spots that it must own alone."""
    best = int(np.argmax(left["nUnique"] / left["nPredicted"]))
    predicted, unique = int(left["nPredicted"][best]), int(left["nUnique"][best])
    spots, part, window = (parameters[name] for name in ("MinUniqueSpots", "UniqueCompleteness", "OwnWindow"))
    if left["nSharp"][best] < _POOR * predicted:
        key = f"OwnWindow {window:g} may be too small"
    elif spots >= part * predicted:
        key = f"MinUniqueSpots {spots} is too much"
    else:
        key = f"UniqueCompleteness {part:g} is too much"
    return (
        f"{key}: the best of {len(left)} solutions without a grain owns {unique} of its {predicted} reflections alone "
        f"within OwnWindow {window:g}, but MinUniqueSpots is {spots} and UniqueCompleteness {part:g} asks for "
        f"{math.ceil(part * predicted)}"
    )
