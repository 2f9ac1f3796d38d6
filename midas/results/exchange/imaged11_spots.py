"""ImageD11: spots as ``.flt`` and the instrument as ``.par`` (docs/exports.md#spots-and-instrument).

Its laboratory, the sense of omega, the order of the tilts and the sign of the wedge are ours; the slow pixel coordinate
`sc` is z_px, the fast one `fc` is y_px, so that the orientation matrix of its detector is o11 = 1, o22 = -1. It knows
the tilts but no distortion of ours: `sc` and `fc` are where the spot would be on the same tilted detector without
distortion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas.experiment.detector import DetectorGeometry
from midas.formats.table import Column, Layout, Table, integer

Floats = NDArray[np.float64]

#: what ImageD11 needs of every spot
_WHOLE = ("Number_of_pixels", "spot3d_id", "labels", "ring")
_PIXELS = ("Number_of_pixels", "avg_intensity")
NAMES = ("sc", "fc", "omega", *_PIXELS, "s_raw", "f_raw", "sum_intensity", "spot3d_id", "labels", "ring")


def undistorted(detector: DetectorGeometry) -> DetectorGeometry:
    """The same detector as ImageD11 knows it."""
    return replace(detector, p0=0.0, p1=0.0, p2=0.0, p3=0.0)


def spot_table(
    spots: Table, detector: DetectorGeometry, labels: NDArray[np.int64], pixels: NDArray[np.int64] | None = None
) -> Table:
    """The columns of a ``.flt``, of the spots that were not rejected.

    Parameters
    ----------
    spots : every spot of a layer, see `midas.formats.spots.EXTRA_INFO`
    detector : of the layer
    labels : (n,) for each of them the place of its grain in the ``.map``, from 0; -1: of no grain
    pixels : (n,) pixels of each; without them there are neither numbers of pixels nor mean intensities
    """
    rows = np.flatnonzero(spots["ring"] > 0)
    spots = spots.take(rows)
    fc, sc = undistorted(detector).pixel_of_plane(spots["y_plane"], spots["z_plane"])
    columns = {"sc": sc, "fc": fc, "omega": spots["omega_recorded"], "labels": labels[rows]}
    columns |= {"s_raw": spots["z_recorded"], "f_raw": spots["y_recorded"], "sum_intensity": spots["intensity"]}
    columns |= {"spot3d_id": spots["spot_id"], "ring": spots["ring"]}
    if pixels is not None:
        counts = np.maximum(pixels[rows], 1)
        columns |= {"Number_of_pixels": counts, "avg_intensity": spots["intensity"] / counts}
    return Table.from_columns([name for name in NAMES if name in columns], columns)


def format_spots(table: Table) -> bytes:
    """The content of a ``.flt``: one line of titles, since ImageD11 takes the last comment line for them."""
    columns = tuple(integer(name) if name in _WHOLE else Column(name, 6) for name in table.names)
    return Layout("#  " + "  ".join(table.names), columns, separator="  ").format(table)


def format_parameters(detector: DetectorGeometry, cell: Sequence[float], lattice: str) -> bytes:
    """The content of a ``.par``.

    Parameters
    ----------
    detector : with its wavelength
    cell : unstrained, Å and degrees
    lattice : letter of the centring: P, A, B, C, I, F, R
    """
    tilts = {f"tilt_{axis}": np.radians(getattr(detector, f"t{axis}")) for axis in "xyz"}
    values: dict[str, object] = {
        **{f"cell_{name}": value for name, value in zip(("_a", "_b", "_c", *_ANGLES), cell, strict=True)},
        "cell_lattice_[P,A,B,C,I,F,R]": lattice,
        "chi": 0.0,
        "distance": detector.lsd,
        "fit_tolerance": 0.05,
        "o11": 1,
        "o12": 0,
        "o21": 0,
        "o22": -1,
        "omegasign": 1.0,
        "t_x": 0.0,
        "t_y": 0.0,
        "t_z": 0.0,
        **tilts,
        "wavelength": detector.known_wavelength(),
        "wedge": detector.wedge,
        "y_center": detector.y_bc,
        "y_size": detector.px,
        "z_center": detector.z_bc,
        "z_size": detector.px,
    }
    return "".join(f"{name} {_word(value)}\n" for name, value in values.items()).encode()


_ANGLES = ("alpha", "beta", "gamma")


def _word(value: object) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)
