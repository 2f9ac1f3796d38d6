"""Scan and raw data."""

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, PATH, REQUIRED, WORD, Key, Range

#: pixels of files that do not say what they are; the byte order is that of Intel where none is given
PIXEL_TYPES = tuple("u1 i1 u2 i2 u4 i4 f4 f8 >u2 >i2 >u4 >i4 >f4 >f8".split())

#: files of a scan: their names are made before the first is opened
MOST_FILES = 1_000_000

TITLE = "Scan and raw data"

KEYS: tuple[Key, ...] = (
    Key("RawFolder", PATH, REQUIRED, "folder of the raw files"),
    Key("FileStem", WORD, REQUIRED, "raw file name up to the last underscore"),
    Key("Ext", WORD, REQUIRED, "raw file extension with its dot"),
    Key("StartFileNrFirstLayer", INT, REQUIRED, "number of the first raw file", dtype="<i8"),
    Key("NrFilesPerSweep", INT, 1, "raw files of one scan", range=Range(0, MOST_FILES)),
    Key("Padding", INT, 6, "digits of the number in a raw file name", range=Range(0, 200)),
    Key("LayerNr", INT, 1, "layer"),
    Key("Dark", PATH, (), "dark frames: a file of any format, or a pattern (`dark_*.tif`); several lines are averaged",
        lines=True, aliases=("darkFN",)),
    Key("MaskFN", PATH, "", "image (TIFF, EDF, CBF), 0 = valid, anything else = masked; a region that touches a masked "
        "pixel is dropped", aliases=("MaskFile",)),
    Key("FloodFN", PATH, "", "flood image of any format: the counts above the dark are divided by it; where it is 0, "
        "pixels are masked"),
    Key("HeadSize", INT, 8192, "header of a file of raw pixels (GE)", "byte", dtype="<i8", range=NOT_NEGATIVE),
    Key("PixelValue", INT, REQUIRED, "raw pixels (GE): 4 means uint32, anything else uint16", "byte", dtype="<i8"),
    Key("RawPixelType", WORD, REQUIRED, "type of raw pixels (GE), instead of PixelValue; `>`: big-endian",
        choices=PIXEL_TYPES),
    Key("OmegaMotor", WORD, "", "motor or key in the headers of the frames that has omega (EDF, CBF, TIFF), by default "
        "the usual names; `none`: the headers do not count"),
    Key("SkipFrame", INT, 0, "leading frames to ignore", range=NOT_NEGATIVE),
    Key("OmegaStart", FLOAT, REQUIRED, "omega of the first frame; wins over OmegaFirstFile", "°"),
    Key("OmegaFirstFile", FLOAT, REQUIRED, "omega of the first frame", "°"),
    Key("OmegaStep", FLOAT, REQUIRED, "rotation per frame, signed", "°",
        archive="measurement/process/scan_parameters/step"),
    Key("OmegaEnd", FLOAT, REQUIRED, "omega at the end of the scan", "°"),
    Key("dataFN", PATH, "", "raw data file"),
    Key("dataLoc", PATH, "exchange/data", "HDF5 dataset of the frames", aliases=("dataDataset",)),
    Key("omegaLoc", PATH, "", "HDF5 dataset of the angles at which the frames begin; a name that ends in _center has "
        "their centres"),
    Key("ScanNumber", WORD, "", "scan of an HDF5 file of several, as BLISS numbers them: 3 means 3.1"),
    Key("ThresholdChannel", WORD, "", "threshold of an HDF5 file of several, by name or number from 1"),
    Key("darkLoc", PATH, "exchange/dark", "HDF5 dataset of the dark frames", aliases=("darkDataset",)),
    Key("numFrameChunks", INT, -1, "frames read at a time; -1 = as many as is good", dtype="<i8"),
    Key("preProcThresh", INT, -1, "threshold above the dark applied at conversion; -1 = off, 0 = only subtract",
        "counts", dtype="<i8"),
    Key("numFilesPerScan", INT, 1, "raw files of one scan", dtype="<i8", range=Range(0, MOST_FILES)),
    Key("StartNr", INT, REQUIRED, "number of the first image of a powder; a scan does not use it: its frames decide",
        dtype="<i8"),
    Key("EndNr", INT, REQUIRED, "frames of the scan; every run warns if there are more or fewer, and uses all; of a "
        "powder the number of the last image", dtype="<i8"),
)  # fmt: skip
