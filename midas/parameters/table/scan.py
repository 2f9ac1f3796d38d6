"""Scan and raw data."""

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, PATH, REQUIRED, WORD, Key

TITLE = "Scan and raw data"

KEYS: tuple[Key, ...] = (
    Key("RawFolder", PATH, REQUIRED, "folder of the raw files"),
    Key("FileStem", WORD, REQUIRED, "raw file name up to the last underscore"),
    Key("Ext", WORD, REQUIRED, "raw file extension with its dot"),
    Key("StartFileNrFirstLayer", INT, REQUIRED, "number of the first raw file", dtype="<i8"),
    Key("NrFilesPerSweep", INT, 1, "raw files of one scan"),
    Key("Padding", INT, 6, "digits of the number in a raw file name"),
    Key("LayerNr", INT, 1, "layer"),
    Key("Dark", PATH, "", "file with dark frames", aliases=("darkFN",)),
    Key("MaskFN", PATH, "", "TIFF, 0 = valid, anything else = masked; a region that touches a masked pixel is "
        "dropped"),
    Key("HeadSize", INT, 8192, "header of a GE file", "byte", dtype="<i8"),
    Key("PixelValue", INT, REQUIRED, "4: uint32, else uint16", "byte", dtype="<i8"),
    Key("SkipFrame", INT, 0, "leading frames to ignore", range=NOT_NEGATIVE),
    Key("OmegaStart", FLOAT, REQUIRED, "omega of the first frame; wins over OmegaFirstFile", "°"),
    Key("OmegaFirstFile", FLOAT, REQUIRED, "omega of the first frame", "°"),
    Key("OmegaStep", FLOAT, REQUIRED, "rotation per frame, signed", "°",
        archive="measurement/process/scan_parameters/step"),
    Key("OmegaEnd", FLOAT, REQUIRED, "omega at the end of the scan", "°"),
    Key("dataFN", PATH, "", "raw data file"),
    Key("dataLoc", PATH, "exchange/data", "HDF5 dataset of the frames"),
    Key("darkLoc", PATH, "exchange/dark", "HDF5 dataset of the dark frames"),
    Key("numFrameChunks", INT, -1, "frames read at a time; -1 = as many as is good", dtype="<i8"),
    Key("preProcThresh", INT, -1, "threshold above the dark applied at conversion; -1 = off, 0 = only subtract",
        "counts", dtype="<i8"),
    Key("numFilesPerScan", INT, 1, "raw files of one scan", dtype="<i8"),
    Key("StartNr", INT, REQUIRED, "accepted, not used: the frames decide", dtype="<i8"),
    Key("EndNr", INT, REQUIRED, "frames of the scan; every run warns if there are more or fewer, and uses all",
        dtype="<i8"),
)  # fmt: skip
