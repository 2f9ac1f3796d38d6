"""Geometry from powder rings and from grains."""

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, PATH, POSITIVE, REQUIRED, WORD, Key, Range, flag

TITLE = "Calibration and geometry"

KEYS: tuple[Key, ...] = (
    flag("RefineGeometry", 0, "1: refine the geometry from the grains and process the layer again", choices=(0, 1)),
    Key("TrustLattice", WORD, "mean", "what fixes the scale: the mean cell of the grains, nothing, each grain's cell, "
        "or the cell with this relative sigma × 10⁶",
        choices=("mean", "none", "each"), or_number=True, range=POSITIVE),
    Key("SigmaFloor", FLOAT, 0.005, "systematic part of the uncertainty of a spot", "px", range=NOT_NEGATIVE),
    Key("CalibEngine", WORD, "lsq", "lsq: least squares; legacy: the legacy objective on the same points",
        choices=("lsq", "legacy")),
    Key("CalibFit", WORD, ("auto",), "names of what is fitted: Lsd BC ty tz p0 p1 p2 p3 Wavelength; or auto",
        flat=True),
    Key("Calibrant", WORD, "", "powder: CeO2, LaB6, Si, Al2O3 or a CIF; its cell stands for LatticeParameter and "
        "SpaceGroup"),
    Key("CalibFloor", FLOAT, 0.005, "systematic part of the uncertainty of a point on a ring", "px",
        range=NOT_NEGATIVE),
    flag("CalibReport", 1, "0: no web page about the calibration", choices=(0, 1)),
    Key("Folder", PATH, "", "folder of the images of a powder"),
    Key("DataType", INT, REQUIRED, "pixels of raw images of a powder: 1 uint16, 2 float64, 3 float32, 4 uint32, "
        "5 int32; 6 and above: the file tells", dtype="<i8", range=Range(1, 9)),
    Key("CalibRingsToExclude", INT, (), "rings of the powder that are not used; in a parameter file of a calibration "
        "this is what RingsToExclude means, a ring a line", lines=True, flat=True,
        dialect_aliases={"calibration": ("RingsToExclude",)}),
    Key("tolP", FLOAT, REQUIRED, "half width of the bounds of p0, p1, p2; absent: no bounds", range=NOT_NEGATIVE),
    Key("tolP0", FLOAT, REQUIRED, "the same of p0", range=NOT_NEGATIVE),
    Key("tolP1", FLOAT, REQUIRED, "the same of p1", range=NOT_NEGATIVE),
    Key("tolP2", FLOAT, REQUIRED, "the same of p2", range=NOT_NEGATIVE),
    Key("tolP3", FLOAT, REQUIRED, "accepted, not used: p1 and p3 are fitted as two amplitudes", "°"),
    Key("tolP4", FLOAT, 0.0, "accepted, not used: no program of the analysis applies p4"),
    Key("p4", FLOAT, 0.0, "sixth-order distortion of the legacy calibration; not applied, and a warning says so"),
    Key("DistortionOrder", INT, 4, "accepted, not used: no program of the analysis applies p4"),
    Key("MultFactor", FLOAT, 0.0, "points beyond this many times the mean strain stay out of the printed statistics; "
        "0: none", range=NOT_NEGATIVE),
    Key("OutlierIterations", INT, 1, "how often that is repeated with the mean of the points that are left",
        range=NOT_NEGATIVE),
    Key("nIterations", INT, 1, "accepted, not used: passes are made until nothing changes"),
    flag("NormalizeRingWeights", 0, "1: weights divided by the number of points of a ring (CalibEngine legacy)"),
    flag("WeightByRadius", 0, "1: weights times the radius (CalibEngine legacy)"),
    flag("WeightByFitSNR", 0, "1: weights by signal to noise, not above its median (CalibEngine legacy)"),
    flag("L2Objective", 0, "1: squares in place of absolute values (CalibEngine legacy)"),
    Key("RBinDivisions", INT, 4, "accepted, not used: pixels are fitted as they are", dtype="<i8"),
    Key("FitOrWeightedMean", INT, 0, "accepted, not used: every peak is fitted", dtype="<i8"),
    Key("DoubletSeparation", FLOAT, 0.0, "accepted, not used: rings closer than 6 pixels are always fitted together",
        "px"),
    Key("GapFile", PATH, "", "mask of the gaps of a detector, beside MaskFN"),
    Key("BadPxFile", PATH, "", "mask of bad pixels, beside MaskFN"),
    Key("FixPanelID", INT, 0, "panel whose shift is 0 in PanelShiftsFile; without the key the shifts have zero mean",
        range=NOT_NEGATIVE),
    Key("MinIndicesForFit", INT, 1, "points that a panel needs to be fitted, at least 3", range=NOT_NEGATIVE),
    Key("tolShifts", FLOAT, 1.0, "panels are not shifted further than this; 0: not fitted", "px", range=NOT_NEGATIVE),
    Key("tolRotation", FLOAT, 0.0, "panels are not turned further than this; 0 in a file: not fitted", "°",
        range=NOT_NEGATIVE),
    flag("PerPanelLsd", 0, "accepted, not used: no program of the analysis applies a distance per panel"),
    Key("tolLsdPanel", FLOAT, 100.0, "accepted, not used: as PerPanelLsd", "µm"),
    flag("PerPanelDistortion", 0, "accepted, not used: no program of the analysis applies p2 per panel"),
    Key("tolP2Panel", FLOAT, 1e-4, "accepted, not used: as PerPanelDistortion"),
)  # fmt: skip
