"""Several detectors and scans as one analysis."""

from midas.parameters.table.key import PATH, REQUIRED, TEXT, WORD, Key, flag

TITLE = "Several datasets"

_ONE_DATASET = "this version analyses one dataset at a time"

KEYS: tuple[Key, ...] = (
    Key("Dataset", TEXT, (), "name, parameter file and data of a dataset; in paramstest.txt its number, name, folder, "
        "scan, first and last spot id; one line each", lines=True, archive="", not_yet=_ONE_DATASET),
    Key("Transform", TEXT, (), "name of a dataset and how its scan lies in that of the first: same, find, the name of "
        "a dataset of the same scan, or rx ry rz tx ty tz (°, µm); one line each", lines=True, archive="",
        not_yet=_ONE_DATASET),
    Key("DatasetTransform", TEXT, (), "number of a dataset and rx ry rz tx ty tz (°, µm); in paramstest.txt",
        lines=True, archive="", not_yet=_ONE_DATASET),
    Key("Overlap", WORD, "full", "full: every grain is in every dataset; partial: a grain may be missing in some; "
        "partial by default with transforms other than same", choices=("full", "partial"), archive="",
        not_yet=_ONE_DATASET),
    flag("RefineTransform", 0, "1: refine the transforms; the default unless all are same", choices=(0, 1), archive="",
        not_yet=_ONE_DATASET),
    Key("Dataset2Folder", PATH, REQUIRED, "folder of the second dataset and offsets of its scan, as the legacy program "
        "for two datasets writes it into paramstest.txt", "µm, °", archive="", not_yet=_ONE_DATASET),
)  # fmt: skip
