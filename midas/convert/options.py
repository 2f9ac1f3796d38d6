"""What the user asks of the conversion and of masks: the options of ``ff-convert`` and ``ff-mask``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from midas.parameters.table import KEYS
from midas.runtime.options import NUMBER, PATH, TEXT, WHOLE, Kind, links_option, option

#: the archive records the path as the user wrote it
_AS_WRITTEN = Kind(str, Path)


@dataclass(frozen=True)
class ConversionOptions:
    """What to convert, and how; an option that is not at its default overrides the parameter of the same meaning."""

    parameter_file: Path = option("-paramFN", _AS_WRITTEN, "", "parameter file")
    result_folder: Path = option("-resultFolder", _AS_WRITTEN, "", "folder for the archive; created if missing")
    data_file: str = option(
        "-dataFN", TEXT, "", "raw data file; by default composed from RawFolder, FileStem, the number and Ext", "dataFN"
    )
    dark_file: str = option("-darkFN", TEXT, "", "file with dark frames; overrides the lines Dark", "Dark")
    data_location: str = option("-dataLoc", TEXT, "exchange/data", "HDF5 dataset of the frames", "dataLoc")
    dark_location: str = option("-darkLoc", TEXT, "exchange/dark", "HDF5 dataset of the dark frames", "darkLoc")
    frame_chunks: int = option(
        "-numFrameChunks", WHOLE, -1, "frames read at a time; -1 = as many as is good", "numFrameChunks"
    )
    threshold: int = option(
        "-preProcThresh",
        WHOLE,
        -1,
        "threshold above the dark applied now; -1 = off, 0 = only subtract",
        "preProcThresh",
    )
    files_per_scan: int = option(
        "-numFilesPerScan", WHOLE, 1, "raw files of one scan; 1 = NrFilesPerSweep", "numFilesPerScan"
    )
    layer: int = option("-LayerNr", WHOLE, 1, "layer; the number of its raw file counts from it", "LayerNr")
    columns: int = option("-numPxY", WHOLE, 2048, "detector columns (raw pixels)", "NrPixelsY")
    rows: int = option("-numPxZ", WHOLE, 2048, "detector rows (raw pixels)", "NrPixelsZ")
    omega_step: float = option("-omegaStep", NUMBER, 0.0, "recorded, not used")
    allow_links: bool = links_option()
    #: whether `data_file` is the scan of the layer whatever its number; else of the first one only
    any_layer: bool = False
    #: the user's file, of which `parameter_file` is a copy line by line: messages name it
    original: Path | None = None

    def keys(self) -> dict[str, object]:
        """The parameters that the options give, those at their defaults left out."""
        items = [item for item in fields(self) if item.metadata]
        given = {item.metadata["key"]: (getattr(self, item.name), item.default) for item in items}
        chosen = {key: value for key, (value, default) in given.items() if key and value != default}
        return {key: (value,) if KEYS[key].lines else value for key, value in chosen.items()}


@dataclass(frozen=True)
class MaskRules:
    """Which pixels are bad, beside those that have one of some values."""

    saturated: float | None = option("--saturated", NUMBER, None, "bad: this many counts or more in any frame")
    above: float | None = option("--above", NUMBER, None, "bad: this many counts or more in the median of the frames")
    hot: float | None = option(
        "--hot",
        NUMBER,
        None,
        "bad: hotter in the median of the frames than the pixels around, by this many standard deviations of such "
        "differences (10 is a good number)",
    )
    add: Path | None = option("--add", PATH, None, "a mask whose pixels are bad, too")
