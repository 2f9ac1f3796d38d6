"""Two images of a segmented detector: how far each panel was shifted, and how large its strains are."""

from __future__ import annotations

import io

import numpy as np
import tifffile
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import MICRO

Array = NDArray[np.float64]

#: pixels of gaps
_GAP = -1.0


def panel_images(calibration: Calibration, panels: Array, shape: tuple[int, int]) -> tuple[bytes, bytes]:
    """``<PanelShiftsFile>.shifts.tif`` and ``.strain.tif``: float32, uncompressed, -1 in gaps.

    Parameters
    ----------
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    shape : rows and columns of the detector

    Returns
    -------
    the shift of each pixel (px), and the mean absolute strain of its panel (10⁻⁶), -1 also without points
    """
    shifts, strains = np.full(shape, _GAP, np.float32), np.full(shape, _GAP, np.float32)
    for number, (y0, y1, z0, z1, cosine, sine, dy, dz) in enumerate(panels.tolist()):
        rows, columns = slice(int(z0), int(z1) + 1), slice(int(y0), int(y1) + 1)
        z, y = np.mgrid[rows, columns].astype(np.float64)
        u, v = y - (y0 + y1) / 2, z - (z0 + z1) / 2
        moved = hypot(u * (cosine - 1) - v * sine + dy, u * sine + v * (cosine - 1) + dz)
        inside = shifts[rows, columns].shape
        shifts[rows, columns] = moved[: inside[0], : inside[1]]
        own = np.abs(calibration.strain[calibration.points.panel == number])
        strains[rows, columns] = own.mean() * MICRO if len(own) else _GAP
    return _tiff(shifts), _tiff(strains)


def _tiff(image: NDArray[np.float32]) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, image)
    return out.getvalue()
