"""Forward simulation."""

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, PATH, POSITIVE, REQUIRED, TEXT, Key, flag

TITLE = "Forward simulation"

KEYS: tuple[Key, ...] = (
    Key("InFileName", PATH, REQUIRED, "grain list"),
    Key("OutFileName", PATH, REQUIRED, "stem of the archive"),
    Key("IntensitiesFile", PATH, "", "relative ring intensities"),
    Key("GaussWidth", FLOAT, 1.0, "sigma of a spot", "px", range=POSITIVE),
    Key("PeakIntensity", FLOAT, 2000.0, "amplitude before scaling"),
    Key("EResolution", FLOAT, (0.0, 1.0), "relative band width, samples", count=2),
    Key("nScans", INT, 1, "1: far field; more is point focus", dtype="<i8"),
    Key("BeamSize", FLOAT, -1.0, "horizontal beam size; > 0 drops grains outside", "µm"),
    flag("WriteSpots", 1, "0: SpotMatrixGen.csv without rows", dtype="<i8"),
    flag("WriteImage", 1, "0: no archive", dtype="<i8"),
    Key("SimulationBatches", INT, 0, "accepted, not used: frames are always streamed", dtype="<i8"),
    flag("IsBinary", 0, "1: binary grain list", dtype="<i8"),
    Key("MinConfidence", FLOAT, 0.0, "of a mic file's points"),
    Key("LoadNr", INT, 0, "accepted, not used", dtype="<i8"),
    Key("UpdatedOrientations", INT, 1, "accepted, not used", dtype="<i8"),
    flag("NFOutput", 0, "accepted, not used", dtype="<i8"),
    Key("OmegaSpread", FLOAT, 0.0, "Gaussian width of a spot in omega", "°", range=NOT_NEGATIVE),
    flag("IntensityByVolume", 0, "1: amplitude by grain volume", dtype="<i8"),
    flag("Lorentz", 0, "1: Lorentz factor", dtype="<i8"),
    Key("ScaleMax", FLOAT, 15000.0, "brightest pixel; 0 = no scaling", "counts", range=NOT_NEGATIVE),
    Key("Background", FLOAT, 0.0, "added after scaling", "counts", range=NOT_NEGATIVE),
    Key("Noise", TEXT, "", "poisson, or gauss and its sigma"),
    Key("DarkFrames", INT, 0, "dark frames to write", dtype="<i8", range=NOT_NEGATIVE),
    Key("DarkLevel", FLOAT, 0.0, "added to every frame", "counts", range=NOT_NEGATIVE),
    Key("DarkNoise", FLOAT, 0.0, "sigma of the dark", "counts", range=NOT_NEGATIVE),
    Key("RandomSeed", INT, 0, "of the noise", dtype="<i8", range=NOT_NEGATIVE),
    flag("PixelIntegration", 0, "1: integrate the Gaussian over each pixel", dtype="<i8"),
    flag("LegacyDistortionMap", 0, "1: distortion map and first-order shift of the legacy program", dtype="<i8",
        legacy=1),
    flag("WriteAnalysisZip", 0, "1: write <OutFileName>.analysis.MIDAS.zip with all parameters", dtype="<i8"),
    flag("SpotTruthMerged", 0, "1: also SpotsGenMerged.csv", dtype="<i8"),
)  # fmt: skip
