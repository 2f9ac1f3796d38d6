"""Peak search, merging, grain size, setup."""

from math import inf

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, POSITIVE, REQUIRED, WORD, Key, Range, flag

TITLE = "Peak search, merging, grain size, setup"

KEYS: tuple[Key, ...] = (
    Key("RingThresh", FLOAT, (), "ring number and threshold; one line a ring", "counts", count=2, lines=True,
        dialect_aliases={"simulation": ("RingsToUse",)}),
    Key("Width", FLOAT, REQUIRED, "half width of a ring band", "µm", range=NOT_NEGATIVE),
    Key("WidthTthPx", FLOAT, -1.0, "replaces Width when a spot is given to a ring; -1 = not given", "µm",
        range=POSITIVE),
    Key("UpperBoundThreshold", FLOAT, inf, "brighter pixels are saturated; absent: those at the end of the detector's "
        "scale, which the frames tell", "counts", legacy=14000.0),
    Key("BadPxIntensity", FLOAT, REQUIRED, "raw value that means a bad pixel: set to 0", "counts"),
    Key("GapIntensity", FLOAT, REQUIRED, "raw value that means a gap: set to 0", "counts"),
    flag("doPeakFit", 1, "0: one peak per region, its centroid",
        archive="measurement/process/scan_parameters/doPeakFit"),
    Key("PeakFitMethod", WORD, "lm", "lm: least squares; nm: the simplex of Nelder and Mead, as the legacy program, "
        "many times slower", choices=("lm", "nm"), legacy="nm"),
    Key("PeakWeights", WORD, "uniform", "weights of the pixels in least squares: uniform; poisson: those of counted "
        "photons, if that is what the counts are", choices=("uniform", "poisson")),
    Key("PeakCentre", WORD, "detector", "centre of a fitted peak: detector: the middle of the spot on the detector; "
        "polar: that of the profile, which is bent about the beam", choices=("detector", "polar"), legacy="polar"),
    Key("MinNrPx", INT, 1, "a region has more than this many pixels", "px"),
    Key("MaxNrPx", INT, 10000, "a region has fewer than this many pixels", "px"),
    Key("MaxNPeaks", INT, 400, "maxima kept per region", range=POSITIVE),
    Key("MinPeakSignificance", FLOAT, 0.0, "a maximum must rise above the way to a higher one by so many standard "
        "deviations of photons; 0: every maximum is a peak", range=NOT_NEGATIVE),
    Key("MaxPeaksPerFit", INT, 48, "peaks that are fitted together; a region with more is divided among them",
        range=POSITIVE),
    Key("CrowdedShare", FLOAT, 2.0, "a frame is crowded when more of its ring pixels than this are above threshold and "
        "resolve into no peaks", "%", range=Range(0, 100)),
    flag("DoFullImage", 0, "1: no rings, the first threshold everywhere"),
    Key("ReferenceRingCurrent", FLOAT, 1.0, "factor on the corrected image", range=POSITIVE),
    Key("zDiffThresh", FLOAT, 0.0, "accepted, not used"),
    Key("OverlapLength", FLOAT, 2.0, "peaks of adjacent frames closer than this are one spot", "px"),
    Key("ChainValley", FLOAT, 0.25, "peaks of adjacent frames are two spots where their intensity falls below this "
        "part of the lower top beside it; 0: never", range=Range(0, 1), legacy=0.0),
    flag("UseMaximaPositions", 0, "1: merge by the brightest pixel instead of the fitted centre"),
    flag("UsePixelOverlap", 0, "1: merge by shared pixels"),
    Key("Vsample", FLOAT, 0.0, "illuminated volume; 0 = cylinder of Rsample and Hbeam", "µm³"),
    flag("DiscModel", 0, "1: grain sizes as discs"),
    Key("DiscArea", FLOAT, 0.0, "illuminated area of the disc model", "µm²"),
    Key("Rsample", FLOAT, REQUIRED, "radius of the sample", "µm", range=POSITIVE),
    Key("Hbeam", FLOAT, REQUIRED, "height within which grains are sought", "µm", range=POSITIVE),
    Key("MaxNFrames", INT, 100000, "spots on more frames are dropped"),
    Key("OmegaRange", FLOAT, (), "omega interval to use; one line each; absent: what the scan covers", "°", count=2,
        lines=True, aliases=("OmegaRanges",), archive="OmegaRanges"),
    Key("BoxSize", FLOAT, (), "-Y +Y -Z +Z of the part of the detector to use, one line per OmegaRange; absent: all "
        "of it", "µm", count=4, lines=True, aliases=("BoxSizes",), archive="BoxSizes"),
    Key("MinEta", FLOAT, 0.0, "spots closer to the poles eta = 0, 180 are dropped", "°",
        aliases=("ExcludePoleAngle",)),
    Key("tInt", FLOAT, 1.0, "exposure time of a frame", "s"),
    Key("tGap", FLOAT, 0.0, "read-out time between frames", "s"),
    flag("DoFit", 0, "1: refine distance, beam centre, ty, tz from the rings"),
    Key("tolTilts", FLOAT, 1.0, "half width of the tilt bounds of DoFit", "°", range=NOT_NEGATIVE),
    Key("tolBC", FLOAT, 1.0, "half width of the beam-centre bounds of DoFit", "px", range=NOT_NEGATIVE),
    Key("tolLsd", FLOAT, 5000.0, "half width of the distance bounds of DoFit", "µm", range=NOT_NEGATIVE),
    Key("OverAllRingToIndex", INT, REQUIRED, "ring whose spots are the seeds", aliases=("OverallRingToIndex",),
        archive="OverallRingToIndex"),
    Key("MinOmeSpotIDsToIndex", FLOAT, -180.0, "smallest omega of a seed", "°"),
    Key("MaxOmeSpotIDsToIndex", FLOAT, 180.0, "largest omega of a seed", "°"),
    Key("BeamThickness", FLOAT, 0.0, "height of the beam", "µm", dialect_aliases={"paramstest": ("BeamSize",)}),
)  # fmt: skip
