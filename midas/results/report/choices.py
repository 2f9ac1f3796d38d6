"""By what the map of the page colours the grains: the choices of the figures, packed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from midas.results.figures import Choice, colour_choices
from midas.results.report.packing import packed, quantised
from midas.results.report.source import Source


def choices(source: Source) -> list[dict[str, Any]]:
    """Every choice that tells the grains apart, and the colours of the orientations."""
    found = colour_choices(source.results, stress=source.stress)
    return [_packed(choice) for choice in found.values() if choice.values is None or _tells(choice.values)]


def _tells(values: np.ndarray[Any, Any]) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(known.max() > known.min())


def _packed(choice: Choice) -> dict[str, Any]:
    title = choice.title[:1].upper() + choice.title[1:]
    if choice.values is None:
        texts = choice.colours or []
        colours = np.array([[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in texts], np.uint8)
        return {"name": choice.name, "title": title, "kind": "rgb", "key": True, "data": packed(colours, "u1")}
    marker = choice.marker()
    return {
        "name": choice.name,
        "title": f"{title} ({choice.unit})" if choice.unit else title,
        "unit": choice.unit,
        "kind": "number",
        "data": quantised(choice.values) if len(choice.values) > 1000 else packed(choice.values),
        "low": marker["cmin"],
        "high": marker["cmax"],
        "scale": re.sub(r"\W", "", str(marker["colorscale"])) if isinstance(marker["colorscale"], str) else "Viridis",
    }
