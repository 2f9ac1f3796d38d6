"""The panels of a segmented detector: their pixels, and how far they are from where they should be.

See docs/theory/geometry.md#panels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arctan2, cos, sin
from midas.experiment.angles import DEG2RAD, RAD2DEG
from midas.formats.panels import read_shifts
from midas.runtime.named_paths import named_file

if TYPE_CHECKING:
    from midas.parameters import Parameters

Array = NDArray[np.float64]


def panels_of(parameters: Parameters, *folders: Path) -> NDArray[np.float64]:
    """Panels as `midas._ext.physics.panels` takes them.

    Parameters
    ----------
    folders : where a relative `PanelShiftsFile` is sought; for a layer `midas.runtime.named_paths.places_of`

    Returns
    -------
    (p, 8) float64: first and last pixel in y and z, cosine, sine, shift in y and z; panel iY·NPanelsZ + iZ. No rows
    without panels.

    Raises
    ------
    ParameterError
        when sizes or gaps are missing
    """
    if not (parameters["NPanelsY"] > 0 and parameters["NPanelsZ"] > 0):
        return np.empty((0, 8))
    y_ranges, z_ranges = (_ranges(parameters, axis) for axis in "YZ")
    shifts = {}
    if parameters["PanelShiftsFile"]:
        name: str = parameters["PanelShiftsFile"]
        shifts = read_shifts(named_file(name, *folders, key="PanelShiftsFile", source=parameters.source))
    rows = []
    for number, (y, z) in enumerate((y, z) for y in y_ranges for z in z_ranges):
        dy, dz, turn = shifts.get(number, (0.0, 0.0, 0.0))
        rows.append([*y, *z, cos(DEG2RAD * turn), sin(DEG2RAD * turn), dy, dz])
    return np.array(rows, np.float64)


def _ranges(parameters: Parameters, axis: str) -> list[tuple[int, int]]:
    """First and last pixel of each panel along an axis."""
    count, size, gaps = (parameters[f"{key}{axis}"] for key in ("NPanels", "PanelSize", "PanelGaps"))
    if size <= 0:
        raise parameters.error(f"PanelSize{axis}", f"must be greater than 0 when NPanels{axis} is given")
    if len(gaps) < count - 1:
        raise parameters.error(f"PanelGaps{axis}", f"must give the {count - 1} gaps between {count} panels")
    starts = [i * size + sum(gaps[:i]) for i in range(count)]
    return [(start, start + size - 1) for start in starts]


def true_pixels(panels: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """Pixels as recorded to the places that the geometry needs; those in gaps stay.

    Parameters
    ----------
    panels : (p, 8) of `panels_of`
    y, z : (n,), px
    """
    y_true, z_true = y.copy(), z.copy()
    for panel in panels:
        on = _on(panel, y, z)
        y_mid, z_mid, cosine, sine, dy, dz = _frame(panel)
        u, v = y[on] - y_mid, z[on] - z_mid
        y_true[on], z_true[on] = y_mid + u * cosine - v * sine + dy, z_mid + u * sine + v * cosine + dz
    return y_true, z_true


def recorded_pixels(panels: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """Inverse of `true_pixels`: the pixel that sees a place.

    A place that no panel has moved to belongs to the panel whose unmoved area holds it, as in the kernels.
    """
    y_px, z_px = y.copy(), z.copy()
    left = np.ones(len(y), bool)
    for moved_to in (True, False):
        for panel in panels:
            y_mid, z_mid, cosine, sine, dy, dz = _frame(panel)
            u, v = y - dy - y_mid, z - dz - z_mid
            back = y_mid + u * cosine + v * sine, z_mid - u * sine + v * cosine
            on = left & (_on(panel, *back) if moved_to else _on(panel, y, z))
            y_px[on], z_px[on] = back[0][on], back[1][on]
            left &= ~on
    return y_px, z_px


def _on(panel: Array, y: Array, z: Array) -> NDArray[np.bool_]:
    """Which pixels are nearest to one of the panel's."""
    in_y = (y >= panel[0] - 0.5) & (y < panel[1] + 0.5)
    on: NDArray[np.bool_] = in_y & (z >= panel[2] - 0.5) & (z < panel[3] + 0.5)
    return on


def _frame(panel: Array) -> tuple[float, ...]:
    """Middle, cosine and sine of the turn, and shift."""
    y0, y1, z0, z1, cosine, sine, dy, dz = panel.tolist()
    return 0.5 * (y0 + y1), 0.5 * (z0 + z1), cosine, sine, dy, dz


def shifts_of(panels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(p, 3) float64 of `panels_of`: shift in y and z (px) and turn (degrees)."""
    turns = RAD2DEG * arctan2(panels[:, 5], panels[:, 4])
    return np.column_stack([panels[:, 6], panels[:, 7], turns])


def with_shifts(panels: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same panels elsewhere; `shifts` as `shifts_of` returns them."""
    turns = DEG2RAD * shifts[:, 2]
    return np.column_stack([panels[:, :4], cos(turns), sin(turns), shifts[:, :2]])
