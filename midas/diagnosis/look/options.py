"""What the user asks of the first look: the options of ``ff-look``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from midas.runtime.errors import UsageError
from midas.runtime.options import PATH, TEXT, WHOLE, links_option, option

if TYPE_CHECKING:
    from midas.convert.scan import RawScan


@dataclass(frozen=True)
class LookOptions:
    """Which scan, which part of it, and where the result goes."""

    parameter_file: Path | None = option("-paramFN", PATH, None, "parameter file, if it is not the first word")
    data_file: Path | None = option("-dataFN", PATH, None, "raw data or a .MIDAS.zip; by default what the file names")
    dark_file: Path | None = option("-darkFN", PATH, None, "file with dark frames; overrides the key Dark")
    data_location: str = option("-dataLoc", TEXT, "exchange/data", "HDF5 dataset of the frames")
    dark_location: str = option("-darkLoc", TEXT, "exchange/dark", "HDF5 dataset of the dark frames")
    allow_links: bool = links_option()
    layer: int = option("-LayerNr", WHOLE, 1, "layer; the number of its raw file counts from it")
    result_folder: Path = option("-resultFolder", PATH, Path(), "folder of the page; by default the current one")
    first: int = option("-first", WHOLE, 0, "first frame to look at, from 0, after the skipped ones")
    count: int = option("-count", WHOLE, -1, "frames to look at; -1 = all")
    threads: int | None = option("-nCPUs", WHOLE, None, "threads; by default every core that the process may use")

    def check_numbers(self) -> None:
        """Those that can be wrong by themselves."""
        if self.first < 0:
            raise UsageError("must not be negative", key="-first", value=self.first)
        if self.count == 0 or self.count < -1:
            raise UsageError("must be at least 1, or -1 for all", key="-count", value=self.count)

    def opened(self, threads: int) -> RawScan:
        """The scan; an archive without a parameter file brings its own parameters."""
        from midas.convert.options import ConversionOptions
        from midas.convert.scan import RawScan

        if self.parameter_file is None:
            if self.data_file is None or self.data_file.suffix != ".zip":
                raise UsageError("needs a parameter file, or an archive as -dataFN (see ff-look --help)")
            return RawScan.archived(self.data_file, threads=threads)
        options = ConversionOptions(
            parameter_file=self.parameter_file,
            result_folder=self.result_folder,
            data_file=os.fspath(self.data_file or ""),
            dark_file=os.fspath(self.dark_file or ""),
            data_location=self.data_location,
            dark_location=self.dark_location,
            layer=self.layer,
            allow_links=self.allow_links,
        )
        return RawScan.opened(options, threads=threads)
