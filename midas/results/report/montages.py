"""Raw pixels of the spots of some grains."""

from __future__ import annotations

from typing import Any

import numpy as np

from midas.results.evidence import STATES, Montage, grains_to_show, montage
from midas.results.report.packing import packed
from midas.results.report.source import Source
from midas.runtime.errors import MidasError

_SAYS = (
    "Each strip is a window around a spot through the frames next to it, from left to right in omega; black is the "
    "largest count of the strip, on a scale of square roots. A spot that is predicted and missing shows what is there."
)


def packed_montages(source: Source) -> dict[str, Any] | None:
    """Strips by grain; None without frames."""
    results = source.results
    if not source.options.montages or results.archive is None or source.predictor is None:
        return None
    rows = grains_to_show(results, source.options.montages)
    try:
        found = montage(results, rows, threads=source.options.threads)
    except MidasError as error:
        source.missing.append(f"No raw pixels: {error}")
        return None
    ids = results.grains["grain_id"][rows].tolist()
    return {str(grain): {"says": _SAYS, "spots": _strips(found.grain(grain))} for grain in ids}


def _strips(own: Montage) -> list[dict[str, Any]]:
    codes, peaks = own.packed()
    return [
        {
            "shape": list(codes[k].shape),
            # Rows of the detector go upwards, those of a picture downwards.
            "data": packed(codes[k][:, ::-1].ravel(), "u1"),
            "title": _title(own.spots[k], float(peaks[k])),
        }
        for k in range(len(own))
    ]


def _title(spot: np.void, peak: float) -> str:
    hkl = " ".join(str(int(spot[name])) for name in "hkl")
    return f"({hkl}), ω {float(spot['omega']):.1f}°, {STATES[int(spot['state'])]}, up to {peak:.0f}"
