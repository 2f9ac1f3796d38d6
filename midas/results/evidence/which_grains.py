"""Which grains are shown when there is room for some of them only (docs/theory/evidence.md#montage)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from midas.results.reading import Results

#: grains of a report whose pixels are shown
USUAL_NUMBER = 16


def grains_to_show(results: Results, number: int = USUAL_NUMBER) -> NDArray[np.int64]:
    """Rows of grains: the largest, the least complete, and others evenly over the sizes.

    Parameters
    ----------
    number : of grains; all where there are fewer

    Returns
    -------
    (n,) int64, the largest grains first, then the least complete, then the others
    """
    grains = results.grains
    if len(grains) <= number:
        return np.argsort(-grains["radius"], kind="stable").astype(np.int64)
    by_size = np.argsort(-np.nan_to_num(grains["radius"], nan=-1.0), kind="stable")
    worst = np.argsort(np.nan_to_num(grains["completeness"], nan=2.0), kind="stable")
    third = -(-number // 3)
    chosen = dict.fromkeys([*by_size[:third].tolist(), *worst[: 2 * third].tolist()][: 2 * third])
    others = [row for row in by_size.tolist() if row not in chosen]
    wanted = number - len(chosen)
    if wanted > 0:
        places = np.unique(np.linspace(0, len(others) - 1, wanted).round().astype(int))
        chosen.update(dict.fromkeys(others[place] for place in places))
    return np.array(list(chosen)[:number], np.int64)
