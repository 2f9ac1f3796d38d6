"""What the predictions leave of the spots, against ring, eta and omega."""

from __future__ import annotations

import numpy as np

from midas.results import figures
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source

_CAPTIONS = {
    "ring": "All rings off alike is the distance or the cell; off by more the larger the ring is distortion or a tilt.",
    "eta": "A sine or cosine is the beam centre (y, z); twice around is a tilt or the two-fold distortion.",
    "omega": "A wave over omega is the rotation axis: its wedge, or a stage that wobbles; a step is a moved sample.",
}


def section(source: Source) -> Section | None:
    """None without grains."""
    if not len(source.spots):
        return None
    values = None
    found = source.residuals
    if found is not None:
        columns = {"radial (µm)": found.radial, "along the ring (µm)": found.tangential, "omega (°)": found.omega}
        values = {}
        for title, column in columns.items():
            values[title] = np.full(len(source.spots), np.nan)
            values[title][found.rows] = column
    drawings = [
        Drawing(f"residuals-{against}", figures.residuals(source.results, against, values), caption,
                f"Residuals of the spots against {against}")
        for against, caption in _CAPTIONS.items()
    ]  # fmt: skip
    return Section(
        "residuals",
        "Residuals",
        "Observed minus predicted places of the spots of all grains: along the radius, along the ring, and in omega. "
        "Good data scatter about zero everywhere. The residual of a spot is not the error of a grain, which is many "
        "times smaller.",
        drawings,
        values={"layout": "three"},
    )
