"""The spots of every grain for its panel: predicted, with what was seen of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from midas._ext.numerics.elementwise import tan
from midas.results.evidence import OUTSIDE
from midas.results.report.packing import packed, quantised
from midas.results.report.source import Source
from midas.runtime.ragged import offsets_of


def packed_spots(source: Source) -> dict[str, Any] | None:
    """The reflections that could be seen; None where nothing predicts them."""
    if source.predicted is None or source.predictor is None:
        return None
    predicted, detector = source.predicted, source.predictor.view.detector
    shown = predicted.spots["state"] != OUTSIDE
    spots = predicted.spots[shown]
    grain = np.repeat(np.arange(len(predicted.starts) - 1), np.diff(predicted.starts))[shown]
    rings = np.unique(spots["ring"])
    radii = [detector.lsd * tan(np.radians(np.median(spots["two_theta"][spots["ring"] == r]))) for r in rings]
    return {
        "starts": packed(offsets_of(np.bincount(grain, minlength=len(source))), "i4"),
        "bc": [detector.y_bc, detector.z_bc],
        "px": detector.px,
        "side": [_side(detector.y_bc, spots["y"]), _side(detector.z_bc, spots["z"])],
        "rings": [float(radius) for radius in radii],
        "columns": {
            "y": quantised(spots["y"]),
            "z": quantised(spots["z"]),
            "omega": quantised(spots["omega"]),
            "radial": quantised(spots["d_radial"]),
            "arc": quantised(spots["d_arc"]),
            "domega": quantised(spots["d_omega"]),
            "ring": packed(np.minimum(spots["ring"], 255), "u1"),
            "state": packed(spots["state"], "u1"),
            **{name: packed(np.clip(spots[name], -128, 127), "i1") for name in "hkl"},
            "spot": packed(spots["spot_id"], "i4"),
        },
    }


def _side(centre: float, values: np.ndarray[Any, Any]) -> float:
    """How far the detector reaches, from what is on it."""
    return float(max(2 * centre, np.nanmax(values, initial=0.0) + 5))
