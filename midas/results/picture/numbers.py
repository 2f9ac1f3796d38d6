"""The numbers of a layer that fit in a few lines (docs/theory/evidence.md#the-picture)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midas._ext.numerics.elementwise import hypot
from midas.results.evidence import MISSING, Predicted
from midas.results.stress.tensors import equivalent_strain
from midas.runtime.errors import FormatError

if TYPE_CHECKING:
    from midas.results.reading import Results


def headlines(results: Results, predicted: Predicted | None) -> list[str]:
    """Short lines: what there is, how sure it is, how well it fits."""
    grains = results.grains
    lines = [f"Space group {results.space_group}, cell {' '.join(f'{x:g}' for x in results.cell)}"]
    if not len(grains):
        return lines
    lines += _spots(results)
    lines.append(
        f"completeness: median {np.median(grains['completeness']):.3f}, least {grains['completeness'].min():.3f}"
    )
    lines.append(f"radius: median {np.median(grains['radius']):.1f} um, largest {grains['radius'].max():.1f} um")
    if predicted is not None and len(predicted.spots):
        own = predicted.spots[predicted.spots["counted"]]
        missing = int((predicted.spots["state"] == MISSING).sum())
        lines.append(f"{missing} of {int(predicted.spots['expected'].sum())} expected spots are missing")
        if len(own):
            off = np.median(hypot(own["d_y"], own["d_z"]))
            turned = np.median(np.abs(own["d_omega"]))
            lines.append(f"spots are off by {off:.3f} px and {turned:.4f} degrees (medians)")
    strain = equivalent_strain(grains["strain"])
    lines.append(f"equivalent strain: median {np.median(strain):.0f}e-6, largest {strain.max():.0f}e-6")
    return lines


def _spots(results: Results) -> list[str]:
    """How many spots there are; nothing where the grain list stands alone."""
    try:
        own = results.spots
    except FormatError:
        return []
    of_all = results.all_spots
    known = "" if of_all is None else f" of {int((of_all['ring'] > 0).sum())} on the rings"
    return [f"{len(np.unique(own['spot_id']))} spots in grains{known}"]
