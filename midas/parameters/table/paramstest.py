"""Keys of paramstest.txt only."""

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, PATH, REQUIRED, Key, flag

TITLE = "Keys of paramstest.txt only"

KEYS: tuple[Key, ...] = (
    Key("RingNumbers", INT, (), "rings in use", lines=True, archive=""),
    Key("RingRadii", FLOAT, (), "their radii, in the same order", "µm", lines=True, archive=""),
    Key("OutputFolder", PATH, REQUIRED, "folder of IndexBest*.bin and FitBest.bin", archive=""),
    Key("SpotsFileName", PATH, "InputAll.csv", "accepted, not used", archive=""),
    Key("IDsFileName", PATH, "SpotsToIndex.csv", "accepted, not used", archive=""),
    Key("RefinementFileName", PATH, "InputAllExtraInfoFittingAll.csv", "accepted, not used", archive=""),
    Key("BigDetSize", INT, 0, "side of BigDetectorMask.bin; 0 = no mask", "px", archive="", range=NOT_NEGATIVE),
    flag("NoSaveAll", 0, "1: as WriteLegacyBins 0", archive=""),
    flag("DebugMode", 0, "accepted, not used", archive=""),
    flag("TopLayer", 0, "accepted, not used", archive=""),
)  # fmt: skip
