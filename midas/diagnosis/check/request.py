"""What is to be checked: a parameter file or an archive, and what a command is asked to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from midas.parameters.table import Value
from midas.runtime.files import located

#: parts of the suite that a run goes through, beside the conversion
PEAK_SEARCH = ("hkls", "peaks")
WHOLE_ANALYSIS = (
    *PEAK_SEARCH,
    "merge",
    "radius",
    "fit_setup",
    "binning",
    "indexing",
    "refinement",
    "grains",
    "results",
)
#: of a run that starts from the user's own table of spots
SPOT_TABLE = ("hkls", "binning", "indexing", "refinement", "grains")


@dataclass(frozen=True)
class Request:
    """A run before it begins.

    Parameters
    ----------
    source : the parameter file, or the archive that the parameters come from
    parts : names of `midas.parameters.readers.READERS` that will run, without the conversion
    converts : whether raw files are converted; else `archive` holds the frames
    archive : of the frames; None: there is none yet
    data_file : raw file that the command line names
    layer : number of the layer
    settings : parameters that options replace
    options : key -> option that has given it, for those of `settings`
    needs_frames : whether raw files that nobody names are a mistake
    several : whether other layers are asked for, so that a missing raw file does not end the run
    links : whether HDF5 files may lead to others anywhere
    relative_to : where paths of the parameter file are looked for beside the current folder; None: its own folder
    """

    source: Path
    parts: tuple[str, ...] = WHOLE_ANALYSIS
    converts: bool = True
    archive: Path | None = None
    data_file: str = ""
    layer: int = 1
    settings: Mapping[str, Value] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    needs_frames: bool = True
    several: bool = False
    links: bool = False
    relative_to: Path | None = None

    @property
    def folder(self) -> Path:
        """Where relative paths are looked for after the current folder."""
        return self.relative_to or self.source.absolute().parent

    def located(self, name: str) -> Path:
        """A path of the parameter file or of an option."""
        return located(name, self.folder)
