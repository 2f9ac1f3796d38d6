"""Geometry from powder rings and from grains."""

from midas.parameters.table.key import FLOAT, NOT_NEGATIVE, POSITIVE, WORD, Key, flag

TITLE = "Calibration and geometry"

_NO_CALIBRATION = "this version has no ff-calibrate"

KEYS: tuple[Key, ...] = (
    flag("RefineGeometry", 0, "1: refine the geometry from the grains and process the layer again", choices=(0, 1)),
    Key("TrustLattice", WORD, "mean", "what fixes the scale: the mean cell of the grains, nothing, each grain's cell, "
        "or the cell with this relative sigma × 10⁶",
        choices=("mean", "none", "each"), or_number=True, range=POSITIVE),
    Key("SigmaFloor", FLOAT, 0.005, "systematic part of the uncertainty of a spot", "px", range=NOT_NEGATIVE),
    Key("CalibEngine", WORD, "lsq", "lsq: least squares; legacy: the legacy objective", choices=("lsq", "legacy"),
        not_yet=_NO_CALIBRATION),
    Key("CalibFit", WORD, ("auto",), "names of what is fitted, or auto", flat=True, not_yet=_NO_CALIBRATION),
    Key("Calibrant", WORD, "", "name of the powder; its cell stands for LatticeParameter and SpaceGroup",
        not_yet=_NO_CALIBRATION),
    Key("CalibFloor", FLOAT, 0.005, "systematic part of the uncertainty of a point on a ring", "px",
        range=NOT_NEGATIVE, not_yet=_NO_CALIBRATION),
    flag("CalibReport", 1, "0: no web page about the calibration", choices=(0, 1), not_yet=_NO_CALIBRATION),
)  # fmt: skip
