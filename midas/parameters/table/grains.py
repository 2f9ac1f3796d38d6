"""Indexing, refinement, grains."""

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, PATH, POSITIVE, REQUIRED, WORD, Key, Range, flag

TITLE = "Indexing, refinement, grains"

KEYS: tuple[Key, ...] = (
    Key("StepSizePos", FLOAT, 5.0, "position step of the search", "µm", aliases=("StepsizePos",), range=Range(1)),
    Key("StepSizeOrient", FLOAT, 0.2, "orientation step of the search, at least 0.001", "°",
        aliases=("StepsizeOrient",), range=NOT_NEGATIVE),
    Key("MarginRadius", FLOAT, 500.0, "tolerance on the grain radius", "µm"),
    Key("MarginRadial", FLOAT, 500.0, "tolerance along two_theta", "µm"),
    Key("MarginEta", FLOAT, 500.0, "tolerance along eta", "µm", range=NOT_NEGATIVE),
    Key("MarginOme", FLOAT, 0.5, "tolerance on omega", "°", range=NOT_NEGATIVE),
    Key("MargABC", FLOAT, 2.0, "bound on the fitted a, b, c", "%", range=NOT_NEGATIVE),
    Key("MargABG", FLOAT, 2.0, "bound on the fitted alpha, beta, gamma", "%", range=NOT_NEGATIVE),
    Key("OmeBinSize", FLOAT, 0.1, "omega bin, of the search at least 0.001", "°", range=POSITIVE),
    Key("EtaBinSize", FLOAT, 0.1, "eta bin, of the search at least 0.001", "°", range=POSITIVE),
    Key("Completeness", FLOAT, 0.0, "smallest accepted completeness", "0 ... 1",
        aliases=("MinMatchesToAcceptFrac",), archive="MinMatchesToAcceptFrac"),
    flag("UseFriedelPairs", 1, "1: seeds need their Friedel mate"),
    Key("MinNrSpots", INT, 1, "a grain must be found from this many seeds"),
    flag("Twins", 0, "1: also link sixty-degree twins"),
    Key("NumPhases", INT, 1, "copied to Grains.csv"),
    Key("PhaseNr", INT, 1, "copied to Grains.csv"),
    Key("GlobalPosition", FLOAT, 0.0, "copied to Grains.csv", "µm"),
    Key("RingsToExcludeFraction", INT, (), "rings left out of the completeness", lines=True, flat=True, dtype="<i8"),
    Key("RingsToExclude", FLOAT, (), "accepted, not used", count=2, lines=True),
    Key("RingsToReject", INT, (), "rings left out of the grain radius", lines=True, flat=True, dtype="<i8",
        handed_on=True),
    Key("GrainsFile", PATH, "", "seed grains (a Grains.csv): find these instead of searching"),
    Key("ResultFolder", PATH, REQUIRED, "folder of the results", aliases=("resultFolder",)),
    Key("LegacyHKLList", INT, 0, "1: the incomplete hkl list of the legacy programs", choices=(0, 1)),
    Key("RefineMethod", WORD, "joint",
        "joint: all variables at once; staged: as the legacy program; converged: its sequence, solved to the end",
        choices=("joint", "staged", "converged"), handed_on=True),
    flag("WriteLegacyBins", 1, "1: Data.bin and nData.bin, which only legacy programs read; in ff-midas 0 unless given",
        choices=(0, 1), handed_on=True),
    flag("TakeGrainMax", 0, "1: grain radius is the largest of its spots, not the mean", dtype="<i8"),
)  # fmt: skip
