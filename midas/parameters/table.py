"""The one table of parameters: every key that any command reads, and the alias, type and default it has.

`midas.parameters` parses and checks with it, the archive is written and read with it, and docs/parameters.md is printed
from it (``python -m midas.parameters``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: kinds of value: numbers, one word, or the rest of the line (a path may hold blanks)
FLOAT, INT, WORD, PATH = "float", "int", "word", "path"

#: no default: a command that needs the key says so
REQUIRED = None


@dataclass(frozen=True)
class Key:
    """One parameter.

    Parameters
    ----------
    name : as users write it
    kind : FLOAT, INT, WORD or PATH
    default : value when absent; `REQUIRED` if there is none
    text : what it means
    unit : of the numbers
    count : numbers on a line; more than one gives a tuple
    lines : whether lines add up to a list (else the last one wins)
    flat : a list that may also stand on one line
    aliases : other spellings, in every file
    dialect_aliases : spellings that mean this key in one kind of file only: dialect -> names
    archive : dataset in the archive if not ``analysis/process/analysis_parameters/<name>``; "" when it is never stored
    dtype : of the dataset; by default ``<f8``, ``<i4`` or bytes
    stages : who reads it
    stage_defaults : defaults that hold in one stage only
    choices : the only values allowed
    """

    name: str
    kind: str
    default: Any
    text: str
    unit: str = ""
    count: int = 1
    lines: bool = False
    flat: bool = False
    aliases: tuple[str, ...] = ()
    dialect_aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    archive: str | None = None
    dtype: str = ""
    stages: str = ""
    stage_defaults: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[Any, ...] = ()

    @property
    def is_list(self) -> bool:
        return self.lines or self.flat


def _group(title: str, *keys: Key) -> tuple[str, tuple[Key, ...]]:
    return title, keys


def _flag(name: str, default: int, text: str, **more: Any) -> Key:
    return Key(name, INT, default, text, **more)


GROUPS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    _group(
        "Geometry, beam and crystal",
        Key("Lsd", FLOAT, REQUIRED, "sample to detector distance", "µm", aliases=("Distance", "LsdMean"),
            dialect_aliases={"user": ("DetParams",), "simulation": ("DetParams",)},
            stages="hkls peaks radius setup index refine grains simulate", stage_defaults={"peaks": 1e6}),
        Key("BC", FLOAT, REQUIRED, "beam centre, horizontal (Y) and vertical (Z)", "px", count=2, archive="YCen ZCen",
            stages="peaks radius setup simulate", stage_defaults={"peaks": (1024.0, 1024.0)}),
        Key("px", FLOAT, REQUIRED, "pixel size", "µm", aliases=("PixelSize",), archive="PixelSize",
            stages="peaks radius setup refine simulate", stage_defaults={"peaks": 200.0}),
        Key("Wavelength", FLOAT, REQUIRED, "X-ray wavelength", "Å",
            stages="hkls setup index refine grains simulate", stage_defaults={"peaks": 0.189714}),
        Key("LatticeParameter", FLOAT, REQUIRED, "unit cell a b c alpha beta gamma", "Å, °", count=6,
            aliases=("LatticeConstant",), stages="hkls setup index refine grains simulate"),
        Key("SpaceGroup", INT, REQUIRED, "space group number, 1 ... 230", stages="hkls setup index grains simulate",
            stage_defaults={"setup": 225, "grains": 225}),
        Key("RhoD", FLOAT, REQUIRED, "largest ring radius; normalises the distortion too", "µm",
            aliases=("MaxRingRad",), stages="hkls peaks setup refine simulate",
            stage_defaults={"peaks": 409600.0}),
        Key("tx", FLOAT, 0.0, "detector tilt about the beam", "°", stages="peaks setup simulate"),
        Key("ty", FLOAT, 0.0, "detector tilt about the horizontal axis", "°", stages="peaks setup simulate"),
        Key("tz", FLOAT, 0.0, "detector tilt about the vertical axis", "°", stages="peaks setup simulate"),
        Key("p0", FLOAT, 0.0, "two-fold radial distortion", stages="peaks setup simulate"),
        Key("p1", FLOAT, 0.0, "four-fold radial distortion", stages="peaks setup simulate"),
        Key("p2", FLOAT, 0.0, "isotropic radial distortion", stages="peaks setup simulate"),
        Key("p3", FLOAT, 0.0, "phase of the four-fold distortion", "°", stages="peaks setup simulate"),
        Key("Wedge", FLOAT, 0.0, "lean of the rotation axis along the beam", "°", stages="setup refine simulate"),
        Key("NrPixels", INT, REQUIRED, "side of a square detector", "px", dtype="<i8", stages="convert simulate"),
        Key("NrPixelsY", INT, REQUIRED, "detector columns", "px", aliases=("numPxY",), dtype="<i8",
            stages="convert simulate"),
        Key("NrPixelsZ", INT, REQUIRED, "detector rows", "px", aliases=("numPxZ",), dtype="<i8",
            stages="convert simulate"),
        Key("ImTransOpt", INT, (), "image transformations in order: 0 none, 1 flip Y, 2 flip Z, 3 transpose",
            lines=True, flat=True, stages="peaks"),
        Key("NPanelsY", INT, 0, "panels side by side", stages="peaks simulate"),
        Key("NPanelsZ", INT, 0, "panels on top of each other", stages="peaks simulate"),
        Key("PanelSizeY", INT, 0, "panel width", "px", stages="peaks simulate"),
        Key("PanelSizeZ", INT, 0, "panel height", "px", stages="peaks simulate"),
        Key("PanelGapsY", INT, (), "gaps between panels, one line", "px", flat=True, stages="peaks simulate"),
        Key("PanelGapsZ", INT, (), "gaps between panels, one line", "px", flat=True, stages="peaks simulate"),
        Key("PanelShiftsFile", PATH, "", "text file of shifts per panel", stages="peaks simulate"),
    ),
    _group(
        "Scan and raw data",
        Key("RawFolder", PATH, REQUIRED, "folder of the raw files", stages="convert"),
        Key("FileStem", WORD, REQUIRED, "raw file name up to the last underscore", stages="convert"),
        Key("Ext", WORD, REQUIRED, "raw file extension with its dot", stages="convert"),
        Key("StartFileNrFirstLayer", INT, REQUIRED, "number of the first raw file", dtype="<i8", stages="convert"),
        Key("NrFilesPerSweep", INT, 1, "raw files of one scan", stages="convert"),
        Key("Padding", INT, 6, "digits of the number in a raw file name", stages="convert"),
        Key("LayerNr", INT, 1, "layer", stages="convert"),
        Key("Dark", PATH, "", "file with dark frames", aliases=("darkFN",), stages="convert"),
        Key("MaskFN", PATH, "", "TIFF, 0 = valid, anything else = masked; a region that touches a masked pixel is "
            "dropped", stages="convert"),
        Key("HeadSize", INT, 8192, "header of a GE file", "byte", dtype="<i8", stages="convert"),
        Key("PixelValue", INT, REQUIRED, "4: uint32, else uint16", "byte", dtype="<i8", stages="convert"),
        Key("SkipFrame", INT, 0, "leading frames to ignore", stages="convert peaks merge radius setup"),
        Key("OmegaStart", FLOAT, REQUIRED, "omega of the first frame; wins over OmegaFirstFile", "°",
            stages="convert simulate"),
        Key("OmegaFirstFile", FLOAT, REQUIRED, "omega of the first frame", "°", stages="convert"),
        Key("OmegaStep", FLOAT, REQUIRED, "rotation per frame, signed", "°",
            archive="measurement/process/scan_parameters/step", stages="convert peaks radius setup simulate",
            stage_defaults={"peaks": 0.0}),
        Key("OmegaEnd", FLOAT, REQUIRED, "omega at the end of the scan", "°", stages="simulate"),
        Key("dataFN", PATH, "", "raw data file", stages="convert"),
        Key("dataLoc", PATH, "exchange/data", "HDF5 dataset of the frames", stages="convert"),
        Key("darkLoc", PATH, "exchange/dark", "HDF5 dataset of the dark frames", stages="convert"),
        Key("numFrameChunks", INT, -1, "frames read at a time; -1 = as many as is good", dtype="<i8", stages="convert"),
        Key("preProcThresh", INT, -1, "threshold above the dark applied at conversion; -1 = off, 0 = only subtract",
            "counts", dtype="<i8", stages="convert"),
        Key("numFilesPerScan", INT, 1, "raw files of one scan", dtype="<i8", stages="convert"),
        Key("StartNr", INT, REQUIRED, "accepted, not used: the frames decide", dtype="<i8"),
        Key("EndNr", INT, REQUIRED, "accepted, not used: the frames decide", dtype="<i8"),
    ),
    _group(
        "Peak search, merging, grain size, setup",
        Key("RingThresh", FLOAT, (), "ring number and threshold; one line a ring", "counts", count=2, lines=True,
            dialect_aliases={"simulation": ("RingsToUse",)}, stages="peaks radius setup simulate"),
        Key("Width", FLOAT, REQUIRED, "half width of a ring band", "µm", stages="peaks radius",
            stage_defaults={"peaks": 1000.0}),
        Key("WidthTthPx", FLOAT, -1.0, "replaces Width when a spot is given to a ring; -1 = not given", "µm",
            stages="radius"),
        Key("UpperBoundThreshold", FLOAT, 14000.0, "a region with a brighter pixel is saturated and dropped", "counts",
            stages="peaks"),
        Key("BadPxIntensity", FLOAT, REQUIRED, "raw value that means a bad pixel: set to 0", "counts", stages="peaks"),
        Key("GapIntensity", FLOAT, REQUIRED, "raw value that means a gap: set to 0", "counts", stages="peaks"),
        _flag("doPeakFit", 1, "0: one peak per region, its centroid", stages="peaks",
              archive="measurement/process/scan_parameters/doPeakFit"),
        Key("PeakFitMethod", WORD, "nm", "nm: Nelder-Mead as the legacy program; lm: least squares", stages="peaks",
            choices=("nm", "lm")),
        Key("MinNrPx", INT, 1, "a region has more than this many pixels", "px", stages="peaks"),
        Key("MaxNrPx", INT, 10000, "a region has fewer than this many pixels", "px", stages="peaks"),
        Key("MaxNPeaks", INT, 400, "maxima kept per region", stages="peaks"),
        _flag("DoFullImage", 0, "1: no rings, the first threshold everywhere", stages="peaks"),
        Key("ReferenceRingCurrent", FLOAT, 1.0, "factor on the corrected image", stages="peaks"),
        Key("zDiffThresh", FLOAT, 0.0, "accepted, not used"),
        Key("OverlapLength", FLOAT, 2.0, "peaks of adjacent frames closer than this are one spot", "px",
            stages="merge"),
        _flag("UseMaximaPositions", 0, "1: merge by the brightest pixel instead of the fitted centre", stages="merge"),
        _flag("UsePixelOverlap", 0, "1: merge by shared pixels", stages="merge"),
        Key("Vsample", FLOAT, 0.0, "illuminated volume; 0 = cylinder of Rsample and Hbeam", "µm³", stages="radius"),
        _flag("DiscModel", 0, "1: grain sizes as discs", stages="radius"),
        Key("DiscArea", FLOAT, 0.0, "illuminated area of the disc model", "µm²", stages="radius"),
        Key("Rsample", FLOAT, REQUIRED, "radius of the sample", "µm", stages="radius setup index refine"),
        Key("Hbeam", FLOAT, REQUIRED, "height within which grains are sought", "µm",
            stages="radius setup index refine"),
        Key("MaxNFrames", INT, 100000, "spots on more frames are dropped", stages="setup"),
        Key("OmegaRange", FLOAT, (), "omega interval to use; one line each", "°", count=2, lines=True,
            aliases=("OmegaRanges",), archive="OmegaRanges", stages="setup index refine"),
        Key("BoxSize", FLOAT, (), "-Y +Y -Z +Z of the part of the detector to use, one line per OmegaRange", "µm",
            count=4, lines=True, aliases=("BoxSizes",), archive="BoxSizes", stages="setup index refine"),
        Key("MinEta", FLOAT, 0.0, "spots closer to the poles eta = 0, 180 are dropped", "°",
            aliases=("ExcludePoleAngle",), stages="setup index refine"),
        Key("tInt", FLOAT, 1.0, "exposure time of a frame", "s", stages="setup"),
        Key("tGap", FLOAT, 0.0, "read-out time between frames", "s", stages="setup"),
        _flag("DoFit", 0, "1: refine distance, beam centre, ty, tz from the rings", stages="setup"),
        Key("tolTilts", FLOAT, 1.0, "half width of the tilt bounds of DoFit", "°", stages="setup"),
        Key("tolBC", FLOAT, 1.0, "half width of the beam-centre bounds of DoFit", "px", stages="setup"),
        Key("tolLsd", FLOAT, 5000.0, "half width of the distance bounds of DoFit", "µm", stages="setup"),
        Key("OverAllRingToIndex", INT, REQUIRED, "ring whose spots are the seeds", aliases=("OverallRingToIndex",),
            archive="OverallRingToIndex", stages="setup"),
        Key("MinOmeSpotIDsToIndex", FLOAT, -180.0, "smallest omega of a seed", "°", stages="setup"),
        Key("MaxOmeSpotIDsToIndex", FLOAT, 180.0, "largest omega of a seed", "°", stages="setup"),
        Key("BeamThickness", FLOAT, 0.0, "height of the beam", "µm", dialect_aliases={"paramstest": ("BeamSize",)},
            stages="setup grains"),
    ),
    _group(
        "Indexing, refinement, grains",
        Key("StepSizePos", FLOAT, 5.0, "position step of the search", "µm", aliases=("StepsizePos",),
            stages="setup index"),
        Key("StepSizeOrient", FLOAT, 0.2, "orientation step of the search", "°", aliases=("StepsizeOrient",),
            stages="setup bin index"),
        Key("MarginRadius", FLOAT, 500.0, "tolerance on the grain radius", "µm", stages="setup index"),
        Key("MarginRadial", FLOAT, 500.0, "tolerance along two_theta", "µm", stages="setup index"),
        Key("MarginEta", FLOAT, 500.0, "tolerance along eta", "µm", stages="setup bin index"),
        Key("MarginOme", FLOAT, 0.5, "tolerance on omega", "°", stages="setup bin index"),
        Key("MargABC", FLOAT, 2.0, "bound on the fitted a, b, c", "%", stages="setup refine",
            stage_defaults={"refine": 0.3}),
        Key("MargABG", FLOAT, 2.0, "bound on the fitted alpha, beta, gamma", "%", stages="setup refine",
            stage_defaults={"refine": 0.3}),
        Key("OmeBinSize", FLOAT, 0.1, "omega bin", "°", stages="setup bin index"),
        Key("EtaBinSize", FLOAT, 0.1, "eta bin", "°", stages="setup bin index"),
        Key("Completeness", FLOAT, 0.0, "smallest accepted completeness", "0 ... 1",
            aliases=("MinMatchesToAcceptFrac",), archive="MinMatchesToAcceptFrac", stages="setup index"),
        _flag("UseFriedelPairs", 1, "1: seeds need their Friedel mate", stages="setup index"),
        Key("MinNrSpots", INT, 1, "a grain must be found from this many seeds", stages="grains"),
        _flag("Twins", 0, "1: also link sixty-degree twins", stages="grains"),
        Key("NumPhases", INT, 1, "copied to Grains.csv", stages="grains"),
        Key("PhaseNr", INT, 1, "copied to Grains.csv", stages="grains"),
        Key("GlobalPosition", FLOAT, 0.0, "copied to Grains.csv", "µm", stages="grains"),
        Key("RingsToExcludeFraction", INT, (), "rings left out of the completeness", lines=True, flat=True, dtype="<i8",
            stages="index"),
        Key("RingsToExclude", FLOAT, (), "accepted, not used", count=2, lines=True),
        Key("RingsToReject", INT, (), "rings left out of the grain radius", lines=True, flat=True, dtype="<i8",
            stages="setup refine"),
        Key("GrainsFile", PATH, "", "seed grains (a Grains.csv): find these instead of searching",
            stages="index refine"),
        Key("ResultFolder", PATH, REQUIRED, "folder of the results", aliases=("resultFolder",)),
        Key("LegacyHKLList", INT, 0, "1: the incomplete hkl list of the legacy programs", stages="hkls simulate",
            choices=(0, 1)),
        Key("RefineMethod", WORD, "joint",
            "joint: all variables at once; staged: as the legacy program; converged: its sequence, solved to the end",
            stages="setup refine", choices=("joint", "staged", "converged")),
        _flag("WriteLegacyBins", 1, "0: no Data.bin and nData.bin, which only legacy programs read", stages="setup bin",
              choices=(0, 1)),
        _flag("TakeGrainMax", 0, "1: grain radius is the largest of its spots, not the mean", dtype="<i8",
              stages="refine"),
    ),
    _group(
        "Keys of paramstest.txt only",
        Key("RingNumbers", INT, (), "rings in use", lines=True, archive="", stages="bin index refine"),
        Key("RingRadii", FLOAT, (), "their radii, in the same order", "µm", lines=True, archive="",
            stages="bin index refine"),
        Key("OutputFolder", PATH, REQUIRED, "folder of IndexBest*.bin and FitBest.bin", archive="",
            stages="index refine"),
        Key("SpotsFileName", PATH, "InputAll.csv", "accepted, not used", archive=""),
        Key("IDsFileName", PATH, "SpotsToIndex.csv", "accepted, not used", archive=""),
        Key("RefinementFileName", PATH, "InputAllExtraInfoFittingAll.csv", "accepted, not used", archive=""),
        Key("BigDetSize", INT, 0, "side of BigDetectorMask.bin; 0 = no mask", "px", archive="", stages="index refine"),
        _flag("NoSaveAll", 0, "1: as WriteLegacyBins 0", archive="", stages="bin"),
        _flag("DebugMode", 0, "accepted, not used", archive=""),
        _flag("TopLayer", 0, "accepted, not used", archive=""),
    ),
    _group(
        "Forward simulation",
        Key("InFileName", PATH, REQUIRED, "grain list", stages="simulate"),
        Key("OutFileName", PATH, REQUIRED, "stem of the archive", stages="simulate"),
        Key("IntensitiesFile", PATH, "", "relative ring intensities", stages="simulate"),
        Key("GaussWidth", FLOAT, 1.0, "sigma of a spot", "px", stages="simulate"),
        Key("PeakIntensity", FLOAT, 2000.0, "amplitude before scaling", stages="simulate"),
        Key("EResolution", FLOAT, (0.0, 1.0), "relative band width, samples", count=2, stages="simulate"),
        Key("nScans", INT, 1, "1: far field; more is point focus", dtype="<i8", stages="simulate"),
        Key("BeamSize", FLOAT, -1.0, "horizontal beam size; > 0 drops grains outside", "µm", stages="simulate"),
        _flag("WriteSpots", 1, "0: SpotMatrixGen.csv without rows", dtype="<i8", stages="simulate"),
        _flag("WriteImage", 1, "0: no archive", dtype="<i8", stages="simulate"),
        Key("SimulationBatches", INT, 0, "accepted, not used: frames are always streamed", dtype="<i8"),
        _flag("IsBinary", 0, "1: binary grain list", dtype="<i8", stages="simulate"),
        Key("MinConfidence", FLOAT, 0.0, "of a mic file's points", stages="simulate"),
        Key("LoadNr", INT, 0, "of a VTK file", dtype="<i8", stages="simulate"),
        Key("UpdatedOrientations", INT, 1, "of a VTK file", dtype="<i8", stages="simulate"),
        _flag("NFOutput", 0, "accepted, not used", dtype="<i8"),
        Key("OmegaSpread", FLOAT, 0.0, "Gaussian width of a spot in omega", "°", stages="simulate"),
        _flag("IntensityByVolume", 0, "1: amplitude by grain volume", dtype="<i8", stages="simulate"),
        _flag("Lorentz", 0, "1: Lorentz factor", dtype="<i8", stages="simulate"),
        Key("ScaleMax", FLOAT, 15000.0, "brightest pixel; 0 = no scaling", "counts", stages="simulate"),
        Key("Background", FLOAT, 0.0, "added after scaling", "counts", stages="simulate"),
        Key("Noise", PATH, "", "poisson, or gauss and its sigma", stages="simulate"),
        Key("DarkFrames", INT, 0, "dark frames to write", dtype="<i8", stages="simulate"),
        Key("DarkLevel", FLOAT, 0.0, "added to every frame", "counts", stages="simulate"),
        Key("DarkNoise", FLOAT, 0.0, "sigma of the dark", "counts", stages="simulate"),
        Key("RandomSeed", INT, 0, "of the noise", dtype="<i8", stages="simulate"),
        _flag("PixelIntegration", 0, "1: integrate the Gaussian over each pixel", dtype="<i8", stages="simulate"),
        _flag("LegacyDistortionMap", 0, "1: distortion map and first-order shift of the legacy program", dtype="<i8",
              stages="simulate"),
        _flag("WriteAnalysisZip", 0, "1: write <OutFileName>.analysis.MIDAS.zip with all parameters", dtype="<i8",
              stages="simulate"),
        _flag("SpotTruthMerged", 0, "1: also SpotsGenMerged.csv", dtype="<i8", stages="simulate"),
    ),
)  # fmt: skip

#: Keys of other programs of the legacy suite, which an archive still records under a fixed dtype.
FOREIGN_FLOATS = frozenset(
    "RMin RMax OverArea IntensityThresh MinS_N YPixelSize ZPixelSize BeamStopY BeamStopZ DetDist MaxDev step "
    "FitWeightMean PixelSplittingRBin tolPanelFit tolP tolP0 tolP1 tolP2 tolP3 tolP4 tolShifts tolRotation tolLsdPanel "
    "tolP2Panel DoubletSeparation MultFactor RBinSize EtaMin EtaMax X Y Z U V W SHpL Polariz".split()
)
FOREIGN_INTS = frozenset(
    "SumImages Normalize SaveIndividualFrames OmegaSumFrames nIterations NormalizeRingWeights OutlierIterations "
    "WeightByRadius WeightByFitSNR L2Objective DistortionOrder PerPanelLsd PerPanelDistortion FixPanelID "
    "MinIndicesForFit".split()
)
FOREIGN_WORDS = frozenset("GapFile BadPxFile MaskFile".split())

KEYS: dict[str, Key] = {key.name: key for _, keys in GROUPS for key in keys}


def spellings(dialect: str) -> dict[str, Key]:
    """Every spelling that is understood in a kind of file, and the key it means."""
    names = dict(KEYS)
    for key in KEYS.values():
        for alias in (*key.aliases, *key.dialect_aliases.get(dialect, ())):
            names[alias] = key
    return names
