"""What the user asks of the pipeline: the options of ``ff-midas``, which are the keywords of `midas.run`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from midas.pipeline.step_names import steps_named
from midas.runtime.errors import UsageError
from midas.runtime.options import FLAG, PATH, TEXT, WHOLE, Kind, absolute, links_option, option
from midas.runtime.parallel import thread_count

if TYPE_CHECKING:
    from midas.pipeline.user_file import UserFile

#: legacy scripts give "/" for "none"
_FOLDER_OR_NONE = Kind(str, lambda word: absolute(word) if len(word) > 1 else None, is_path=True, in_python="a path")


@dataclass(frozen=True)
class Options:
    """What the pipeline is to do; see the texts of the fields, or ``ff-midas --help``."""

    parameter_file: Path | None = option(
        "-paramFN", PATH, None, "parameter file; not needed for an archive, which holds its own"
    )
    data_file: Path | None = option(
        "-dataFN", PATH, None, "raw data or a .MIDAS.zip; by default the raw file that the parameter file names"
    )
    result_folder: Path = option(
        "-resultFolder", PATH, Path(), "folder of the results, LayerNr_<n> in it; by default the current one"
    )
    threads: int | None = option("-nCPUs", WHOLE, None, "threads; by default every core that the process may use")
    first_layer: int = option("-startLayerNr", WHOLE, 1, "first layer")
    last_layer: int | None = option(
        "-endLayerNr", WHOLE, None, "last layer; by default 1, in -batchMode that of the last file"
    )
    convert: bool = option("-convertFiles", FLAG, True, "1: convert raw data; 0: the archive is there")
    peak_search: bool = option("-doPeakSearch", FLAG, True, "1: search peaks; 0: they are there")
    force: bool = option("-force", FLAG, False, "1: search the peaks of crowded frames, too; 0: stop if there are many")
    peak_search_only: bool = option("-peakSearchOnly", FLAG, False, "1: stop after the peak search")
    frame_chunks: int = option(
        "-numFrameChunks", WHOLE, -1, "frames that the conversion reads at a time; -1 = as many as is good"
    )
    threshold: int = option(
        "-preProcThresh", WHOLE, -1, "threshold above the dark applied at conversion; -1 = off, 0 = only subtract"
    )
    raw_folder: Path | None = option(
        "-rawDir", _FOLDER_OR_NONE, None, "replaces RawFolder, and the folder of Dark, of the parameter file"
    )
    grains_file: Path | None = option(
        "-grainsFile", PATH, None, "seed grains (a Grains.csv): find these instead of searching"
    )
    file_name: str = option(
        "-fileName", TEXT, "", "process this raw file, <stem>_<number><ending>, alone; its number is that of the layer"
    )
    batch: bool = option("-batchMode", FLAG, False, "1: every numbered file of RawFolder is a layer, whatever its stem")
    spot_table: bool = option(
        "-provideInputAll", FLAG, False, "1: start from InputAllExtraInfoFittingAll.csv in the result folder"
    )
    dark_file: str = option("-darkFN", TEXT, "", "file with dark frames; replaces the key Dark")
    data_location: str = option("-dataLoc", TEXT, "", "HDF5 dataset of the frames; replaces the key dataLoc")
    dark_location: str = option("-darkLoc", TEXT, "", "HDF5 dataset of the dark frames; replaces the key darkLoc")
    per_spot_groups: int = option(
        "-perSpotGroups", WHOLE, -1, "groups per spot in the HDF5: 0 none; 1 and -1: of every spot"
    )
    measure_spots: int | None = option(
        "-measureSpots",
        WHOLE,
        None,
        "1: also measure the spots of the grains on the frames (ff-pull), and refine the "
        "grains on these; by default the key MeasureSpots says",
    )
    legacy_bins: int | None = option(
        "-legacyBins",
        WHOLE,
        None,
        "1: also Data.bin and nData.bin, half a gigabyte that only legacy programs read; by default the key "
        "WriteLegacyBins says, which is 0 here",
    )
    refine_geometry: int | None = option(
        "-refineGeometry",
        WHOLE,
        None,
        "1: also refine the geometry from the grains (ff-geometry), and run the stages from the radius on again with "
        "it until nothing moves, in the folder Geometry of the layer; by default the key RefineGeometry says",
    )
    resume: int | None = option(
        "-resume",
        WHOLE,
        None,
        "1: go on where a run was interrupted: steps that are complete, and would run with the same again, are kept; "
        "0: start afresh; by default 1 in a submitted job and with -batchMode 1, else 0",
    )
    restart_from: str = option(
        "-restartFrom",
        TEXT,
        "",
        "do this step and all behind it again, and keep those before it, which must be complete",
    )
    allow_partial: bool = option(
        "-allowPartial", FLAG, False, "1: seeds that an earlier stage has not come to count as not found; 0: an error"
    )
    report: bool = option("-report", FLAG, True, "1: also a web page about the grains (ff-report); 0: none")
    allow_links: bool = links_option()
    look: bool = option("-look", FLAG, False, "1: also a first look at the frames (ff-look), before the peak search")

    def checked(self) -> Options:
        """The options, once they fit together; an archive needs no conversion."""
        self.check_numbers()
        if self.parameter_file is None and self.data_file is None and not self.file_name:
            raise UsageError("Either -paramFN or -dataFN must be provided (see ff-midas --help)")
        if self.peak_search_only and not self.peak_search:
            reason = "leaves nothing to do: with -doPeakSearch 0 the peaks are there, and nothing else was asked for"
            raise UsageError(reason, key="-peakSearchOnly", value=1)
        if self.peak_search_only and self.measure_spots:
            raise UsageError("does not go with -peakSearchOnly, which leaves no grains", key="-measureSpots", value=1)
        if self.peak_search_only and self.refine_geometry:
            raise UsageError("does not go with -peakSearchOnly, which leaves no grains", key="-refineGeometry", value=1)
        if self.restart_from:
            steps_named(self.restart_from)
        self._check_starts()
        if self.convert and self.parameter_file is None:
            if self.data_file is None or self.data_file.suffix != ".zip":
                raise UsageError("the conversion needs a parameter file; give -paramFN, or an archive as -dataFN")
            return replace(self, convert=False)  # an archive carries its parameters
        return self

    def _check_starts(self) -> None:
        """The ways to start that exclude each other."""
        given = {"-fileName": bool(self.file_name), "-batchMode": self.batch, "-provideInputAll": self.spot_table}
        names = [name for name, is_given in given.items() if is_given]
        if len(names) > 1:
            raise UsageError(f"does not go with {names[0]}", key=names[1])
        if not names:
            return
        if self.parameter_file is None and not (self.file_name and self.data_file):
            raise UsageError("needs a parameter file; give -paramFN", key=names[0])
        if self.batch and self.data_file:
            reason = "does not go with -batchMode, which takes the files of RawFolder"
            raise UsageError(reason, key="-dataFN", value=self.data_file)
        if self.spot_table and self.last_layer is not None and self.last_layer > self.first_layer:
            reason = "must be -startLayerNr: one spot table is one layer (-provideInputAll)"
            raise UsageError(reason, key="-endLayerNr", value=self.last_layer)
        if self.spot_table and self.peak_search_only:
            raise UsageError("does not go with -provideInputAll, which has no frames", key="-peakSearchOnly", value=1)
        if self.spot_table and self.measure_spots:
            raise UsageError("does not go with -provideInputAll, which has no frames", key="-measureSpots", value=1)
        if self.spot_table and self.refine_geometry:
            raise UsageError("does not go with -provideInputAll, which has no pixels", key="-refineGeometry", value=1)

    def check_numbers(self) -> None:
        """Those that can be wrong by themselves."""
        if self.first_layer < 1:
            raise UsageError("must be at least 1", key="-startLayerNr", value=self.first_layer)
        if not (self.layers or self.every_file):
            reason = f"must not be below -startLayerNr {self.first_layer}"
            raise UsageError(reason, key="-endLayerNr", value=1 if self.last_layer is None else self.last_layer)
        thread_count(self.threads)
        switches = {
            "-measureSpots": self.measure_spots, "-legacyBins": self.legacy_bins,
            "-refineGeometry": self.refine_geometry, "-resume": self.resume,
        }  # fmt: skip
        for key, value in switches.items():
            if value not in (None, 0, 1):
                raise UsageError("must be 0 or 1", key=key, value=value)
        if self.frame_chunks < 1 and self.frame_chunks != -1:
            reason = "must be at least 1, or -1 for as many as is good"
            raise UsageError(reason, key="-numFrameChunks", value=self.frame_chunks)

    @cached_property
    def user_file(self) -> UserFile | None:
        """The parameter file, which is parsed once for all layers."""
        from midas.pipeline.user_file import UserFile

        return None if self.parameter_file is None else UserFile(self.parameter_file)

    @property
    def resumes(self) -> bool:
        """Whether steps of an earlier run are kept."""
        return self.resume == 1 or bool(self.restart_from)

    @property
    def keeps_parts(self) -> bool:
        """Whether what is done of a step that was interrupted is kept, too."""
        return self.resume == 1 and not self.restart_from

    @property
    def thread_count(self) -> int:
        """Threads of every process."""
        return thread_count(self.threads)

    @property
    def layers(self) -> range:
        """The numbers that the user asks for; of `every_file` those that there can be."""
        last = sys.maxsize - 1 if self.every_file else 1 if self.last_layer is None else self.last_layer
        return range(self.first_layer, last + 1)

    @property
    def every_file(self) -> bool:
        """Whether the files say which layer is the last one."""
        return self.batch and self.last_layer is None
