"""Geometry, beam and crystal."""

from midas.parameters.table.key import FLOAT, INT, PATH, POSITIVE, REQUIRED, Key, Range

TITLE = "Geometry, beam and crystal"

KEYS: tuple[Key, ...] = (
    Key("Lsd", FLOAT, REQUIRED, "sample to detector distance", "µm", aliases=("Distance", "LsdMean"),
        dialect_aliases={"user": ("DetParams",), "simulation": ("DetParams",)}, range=POSITIVE),
    Key("BC", FLOAT, REQUIRED, "beam centre, horizontal (Y) and vertical (Z)", "px", count=2, archive="YCen ZCen"),
    Key("px", FLOAT, REQUIRED, "pixel size", "µm", aliases=("PixelSize",), archive="PixelSize", range=POSITIVE),
    Key("Wavelength", FLOAT, REQUIRED, "X-ray wavelength", "Å", range=Range(0, 1e6, open=True)),
    Key("LatticeParameter", FLOAT, REQUIRED, "unit cell a b c alpha beta gamma", "Å, °", count=6,
        aliases=("LatticeConstant",)),
    Key("SpaceGroup", INT, REQUIRED, "space group number", range=Range(1, 230)),
    Key("RhoD", FLOAT, REQUIRED, "largest ring radius; normalises the distortion too", "µm", aliases=("MaxRingRad",),
        range=POSITIVE),
    Key("tx", FLOAT, 0.0, "detector tilt about the beam", "°"),
    Key("ty", FLOAT, 0.0, "detector tilt about the horizontal axis", "°", dialect_aliases={"paramstest": ("tyFit",)}),
    Key("tz", FLOAT, 0.0, "detector tilt about the vertical axis", "°", dialect_aliases={"paramstest": ("tzFit",)}),
    Key("p0", FLOAT, 0.0, "two-fold radial distortion"),
    Key("p1", FLOAT, 0.0, "four-fold radial distortion"),
    Key("p2", FLOAT, 0.0, "isotropic radial distortion"),
    Key("p3", FLOAT, 0.0, "phase of the four-fold distortion", "°"),
    Key("Wedge", FLOAT, 0.0, "lean of the rotation axis along the beam", "°"),
    Key("NrPixels", INT, REQUIRED, "side of a square detector", "px", dtype="<i8"),
    Key("NrPixelsY", INT, REQUIRED, "detector columns", "px", aliases=("numPxY",), dtype="<i8"),
    Key("NrPixelsZ", INT, REQUIRED, "detector rows", "px", aliases=("numPxZ",), dtype="<i8"),
    Key("ImTransOpt", INT, (), "image transformations in order: 0 none, 1 flip Y, 2 flip Z, 3 transpose",
        lines=True, flat=True),
    Key("NPanelsY", INT, 0, "panels side by side"),
    Key("NPanelsZ", INT, 0, "panels on top of each other"),
    Key("PanelSizeY", INT, 0, "panel width", "px"),
    Key("PanelSizeZ", INT, 0, "panel height", "px"),
    Key("PanelGapsY", INT, (), "gaps between panels, one line", "px", flat=True),
    Key("PanelGapsZ", INT, (), "gaps between panels, one line", "px", flat=True),
    Key("PanelShiftsFile", PATH, "", "text file of shifts per panel"),
)  # fmt: skip
