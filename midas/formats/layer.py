"""The files of one layer of the sample: every path of the pipeline is composed here (docs/formats.md)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

#: endings of raw files and archives, which come before nothing but each other
_RAW_SUFFIX = re.compile(
    r"\.(?:MIDAS|analysis|zip|npz|fch5|h5|hdf5?|nxs|nx5?|cxi|ge\d?|tiff?|cbf|edf|raw|bin|img|gz|bz2|zst|lz4|xz)$",
    re.IGNORECASE,
)
#: what stands for several files
_PATTERN = re.compile(r"[*?]|\[.*?\]")
_NUMBERED = re.compile(r"(.+)_(\d+)")
#: width of the number in the name of an archive
_DIGITS = 6


def scan_name(data_file: str | os.PathLike[str], layer: int) -> tuple[str, int]:
    """What a raw file says that its scan is called: the stem, and the number at its end, else that of the layer.

    Examples
    --------
    >>> scan_name("/data/gold_2um_00012.ge5.h5", 1)
    ('gold_2um', 12)
    >>> scan_name("gold.nxs", 3)
    ('gold', 3)
    """
    stem = PurePath(data_file).name
    while (shorter := _RAW_SUFFIX.sub("", stem)) and shorter != stem:
        stem = shorter
    stem = _PATTERN.sub("", stem).rstrip("_-. ") or "scan" if _PATTERN.search(stem) else stem
    numbered = _NUMBERED.fullmatch(stem)
    return (stem, layer) if numbered is None else (numbered[1], int(numbered[2]))


def archive_name(data_file: str | os.PathLike[str], layer: int) -> str:
    """What the archive of a raw file is called."""
    stem, number = scan_name(data_file, layer)
    return f"{stem}_{number:0{_DIGITS}d}.MIDAS.zip"


def earlier_archive_name(data_file: str | os.PathLike[str]) -> str:
    """What the legacy conversion called it."""
    return f"{PurePath(data_file).name}.analysis.MIDAS.zip"


#: of the HDF5 file with all results
CONSOLIDATED_ENDING = "_consolidated.h5"


def consolidated_files(folder: Path) -> list[Path]:
    """The consolidated HDF5 files in a folder, the newest last."""
    return sorted(folder.glob(f"*{CONSOLIDATED_ENDING}"), key=lambda path: path.stat().st_mtime)


def name_of_scan(archive: str) -> str:
    """What the first look calls a scan, from the name of its archive."""
    return archive.removesuffix(".MIDAS.zip").removesuffix(".analysis")


def look_files(folder: Path, scan: str) -> tuple[Path, Path, Path]:
    """What the first look at a scan writes: page, picture, text."""
    page, picture, text = (folder / f"{scan}_look{ending}" for ending in (".html", ".png", ".txt"))
    return page, picture, text


@dataclass(frozen=True)
class Layer:
    """A layer folder and the archive of its frames.

    Parameters
    ----------
    folder : where the layer's results are
    archive : its ``.MIDAS.zip``; None when the run starts from a spot table
    folder_text : the folder as the user or the archive spelled it; paramstest.txt repeats it
    output, results : folders of the binary results where a parameter file puts them elsewhere
    data_file : raw file that the archive was made of, if the user named it
    """

    folder: Path
    archive: Path | None = None
    folder_text: str = ""
    output_folder: Path | None = None
    results_folder: Path | None = None
    data_file: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not self.folder_text:
            object.__setattr__(self, "folder_text", os.fspath(self.folder))

    @property
    def output(self) -> Path:
        return self.output_folder or self.folder / "Output"

    @property
    def results(self) -> Path:
        return self.results_folder or self.folder / "Results"

    @property
    def temp(self) -> Path:
        return self.folder / "Temp"

    @property
    def logs(self) -> Path:
        return self.folder / "midas_log"

    @property
    def diagnosis(self) -> Path:
        """Why there are no grains, or few; absent where all is well."""
        return self.logs / "diagnosis.txt"

    @property
    def run_record(self) -> Path:
        """How the results came about."""
        return self.logs / "run.json"

    @property
    def ledger(self) -> Path:
        """What each step ran with, and what it left."""
        return self.logs / "ledger.json"

    # Text tables
    @property
    def hkls(self) -> Path:
        return self.folder / "hkls.csv"

    def peaks(self, frame: int) -> Path:
        """Peak table of a frame, counted from 1 after the skipped ones."""
        return self.temp / f"{self._archive_name}_{frame:06d}_PS.csv"

    def peak_pixels(self, frame: int) -> Path:
        return self.temp / f"{self._archive_name}_{frame:06d}_PX.bin"

    def merged(self, frames: int) -> Path:
        """Merged spots of a scan of that many frames (without the skipped ones)."""
        return self.folder / f"Result_StartNr_1_EndNr_{frames}.csv"

    @property
    def merge_map(self) -> Path:
        return self.folder / "MergeMap.csv"

    @property
    def merge_flags(self) -> Path:
        """Which merged spots are saturated; absent when none is."""
        return self.folder / "MergeFlags.csv"

    def radius(self, frames: int) -> Path:
        return self.folder / f"Radius_StartNr_1_EndNr_{frames}.csv"

    @property
    def id_rings(self) -> Path:
        return self.folder / "IDRings.csv"

    @property
    def spot_flags(self) -> Path:
        """Which spots are saturated; absent when none is."""
        return self.folder / "SpotFlags.csv"

    @property
    def ids_hash(self) -> Path:
        return self.folder / "IDsHash.csv"

    @property
    def spots_to_index(self) -> Path:
        return self.folder / "SpotsToIndex.csv"

    @property
    def seed_passes(self) -> Path:
        """How many of the seeds belong to which pass; absent where there was but one."""
        return self.folder / "SeedPasses.csv"

    @property
    def input_all(self) -> Path:
        return self.folder / "InputAll.csv"

    @property
    def input_all_no_header(self) -> Path:
        return self.folder / "InputAllNoHeader.csv"

    @property
    def extra_info(self) -> Path:
        return self.folder / "InputAllExtraInfoFittingAll.csv"

    @property
    def paramstest(self) -> Path:
        return self.folder / "paramstest.txt"

    @property
    def grains(self) -> Path:
        return self.folder / "Grains.csv"

    @property
    def grain_ids_key(self) -> Path:
        return self.folder / "GrainIDsKey.csv"

    @property
    def spot_matrix(self) -> Path:
        return self.folder / "SpotMatrix.csv"

    @property
    def spots_measured(self) -> Path:
        """The spots of the grains as measured on the frames; absent where nobody measured them."""
        return self.folder / "SpotsMeasured.csv"

    @property
    def grains_sigma(self) -> Path:
        """How well the numbers of the grains are known."""
        return self.folder / "GrainsSigma.csv"

    @property
    def stress(self) -> Path:
        """The stress of every grain; absent where nobody asked for it."""
        return self.folder / "Stress.csv"

    @property
    def geometry_fit(self) -> Path:
        """The numbers of the instrument as refined from the grains."""
        return self.folder / "GeometryFit.csv"

    @property
    def geometry_spots(self) -> Path:
        """What every spot of that refinement is off by."""
        return self.folder / "GeometrySpots.csv"

    @property
    def geometry_page(self) -> Path:
        """The web page about it."""
        return self.folder / "geometry.html"

    @property
    def geometry_folder(self) -> Path:
        """The layer folder in which the stages run again with a refined geometry."""
        return self.folder / "Geometry"

    @property
    def spot_owners(self) -> Path:
        return self.folder / "SpotOwners.csv"

    @property
    def grain_quality(self) -> Path:
        return self.folder / "GrainQuality.csv"

    @property
    def seed_verdicts(self) -> Path:
        return self.folder / "SeedVerdicts.csv"

    @property
    def look(self) -> tuple[Path, ...]:
        """The files of the first look at the archive; none without one."""
        return () if self.archive is None else look_files(self.folder, name_of_scan(self.archive.name))

    @property
    def grain_results(self) -> tuple[Path, ...]:
        """All that the grain stage and what follows it write as tables: where one of them goes, all go."""
        of_spots = (self.grain_ids_key, self.spot_matrix, self.spot_owners, self.spots_measured)
        return (self.grains, self.grains_sigma, self.grain_quality, self.seed_verdicts, *of_spots)

    # Binary files. The spot matrices stand beside the output and results folders, wherever these are.
    @property
    def spots_binary(self) -> Path:
        return self.output.parent / "Spots.bin"

    @property
    def bins(self) -> Path:
        return self.output.parent / "Data.bin"

    @property
    def bin_counts(self) -> Path:
        return self.output.parent / "nData.bin"

    @property
    def extra_info_binary(self) -> Path:
        return self.results.parent / "ExtraInfo.bin"

    @property
    def detector_mask(self) -> Path:
        return self.results.parent / "BigDetectorMask.bin"

    @property
    def detector_pixels(self) -> Path:
        return self.results.parent / "DetectorPixels.bin"

    @property
    def index_best(self) -> Path:
        return self.output / "IndexBest.bin"

    @property
    def index_best_full(self) -> Path:
        return self.output / "IndexBestFull.bin"

    @property
    def fit_best(self) -> Path:
        return self.output / "FitBest.bin"

    @property
    def key(self) -> Path:
        return self.results / "Key.bin"

    @property
    def orient_pos_fit(self) -> Path:
        return self.results / "OrientPosFit.bin"

    @property
    def process_key(self) -> Path:
        return self.results / "ProcessKey.bin"

    @property
    def consolidated(self) -> Path:
        """The HDF5 file with all results."""
        return self.folder / f"{self._stem}{CONSOLIDATED_ENDING}"

    @property
    def report(self) -> Path:
        """The web page about the grains."""
        return self.folder / f"{self._stem}_report.html"

    @property
    def report_picture(self) -> Path:
        """The same in one picture."""
        return self.report.with_suffix(".png")

    @property
    def _stem(self) -> str:
        """Of a raw file that the user named its stem; of numbered files, and of older archives, that of the archive."""
        if self.archive is None:
            return "output"
        if self.data_file and self.archive.name == archive_name(self.data_file, _number_of(self.archive)):
            return scan_name(self.data_file, 0)[0]
        return self.archive.name.removesuffix(".zip")

    @property
    def _archive_name(self) -> str:
        if self.archive is None:
            raise ValueError("a layer without an archive has no peak files")
        return self.archive.name


def _number_of(archive: Path) -> int:
    """The number at the end of an archive's name."""
    return scan_name(archive, 0)[1]
