"""The user's parameter file as the pipeline uses it: only read, and copied with what the command line changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from midas.parameters import Parameters
from midas.parameters.parser import text_of
from midas.parameters.readers import read_from_archive
from midas.parameters.table import KEYS, PATH, Value
from midas.runtime import logs
from midas.runtime.errors import ParameterError
from midas.runtime.files import located, read_bytes, write_atomic

if TYPE_CHECKING:
    from midas.pipeline.options import Options

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UserFile:
    """A parameter file; it is never changed."""

    path: Path

    @cached_property
    def parameters(self) -> Parameters:
        """What is in it. The conversion, which uses it, warns of what looks odd; once is enough."""
        with logs.muted("midas.parameters.parser"):
            return Parameters.read(self.path)

    @cached_property
    def own(self) -> Parameters:
        """What the pipeline itself reads of it; mistakes in other lines are for the check of the whole file to list."""
        mistakes: list[ParameterError] = []
        return Parameters.parse(text_of(self.path), self.path, errors=mistakes).for_stage("pipeline")

    def archive_name(self, number: int, settings: Mapping[str, Value]) -> str:
        """What the conversion calls the archive of a layer whose keys `settings` have other values."""
        from midas.convert.sweep import scan_names

        return scan_names(self.parameters.for_stage("convert").changed(**settings), number)[1]

    def raw_file(self, number: int) -> str:
        """The raw file that the key dataFN names for a layer; "" if the file is a numbered one."""
        return str(self.own["dataFN"]) if number == 1 else ""

    def differences(self, archive: Parameters) -> list[str]:
        """Keys whose values are others than those of an archive, as far as the stages read them there."""
        return [
            name
            for name in self.parameters
            if read_from_archive(name) and _comparable(name, self.parameters) != _comparable(name, archive)
        ]

    def lines(self, start: str) -> list[str]:
        """The lines that start with this text, without blanks around them."""
        text = read_bytes(self.path).decode("utf-8", "replace")
        return [line.strip() for line in text.splitlines() if line.strip().startswith(start)]

    def settings(self, options: Options) -> dict[str, Value]:
        """Keys that options replace, and paths that must hold in the layer folder too; a line for each value."""
        parameters, raw_folder, grains_file = self.own, options.raw_folder, options.grains_file
        located = {"dataLoc": options.data_location, "darkLoc": options.dark_location}
        changes: dict[str, Value] = {name: location for name, location in located.items() if location}
        if raw_folder is not None:
            changes["RawFolder"] = str(raw_folder)
            if darks := parameters["Dark"]:
                changes["Dark"] = moved(darks, raw_folder)
        if options.dark_file:
            changes["Dark"] = (options.dark_file,)
        if grains_file is not None:
            changes |= {"GrainsFile": str(grains_file), "MinNrSpots": "1"}
        if shifts := parameters.get("PanelShiftsFile", ""):
            changes["PanelShiftsFile"] = Path(shifts).name
        return changes

    def with_settings(self, changes: Mapping[str, Value], dropped: Collection[str] = ()) -> bytes:
        """The text with other values of some keys, and without those of others.

        The old lines become comments, so that each line keeps its place.
        """
        text = read_bytes(self.path)
        if not changes and not dropped:
            return text
        replaced = {spelling.encode() for name in (*changes, *dropped) for spelling in (name, *KEYS[name].aliases)}
        lines = text.splitlines()
        for i, line in enumerate(lines):
            words = line.split(None, 1)
            if words and words[0] in replaced:
                lines[i] = b"# " + line
        for name, values in changes.items():
            several = values if KEYS[name].lines else (values,)
            lines += [os.fsencode(f"{name} {value}") for value in several]
        return b"".join(line + b"\n" for line in lines)

    def copy_panel_shifts(self, folder: Path) -> None:
        """Put the file of panel shifts into the layer folder."""
        name = self.own.get("PanelShiftsFile", "")
        if not name:
            return
        source = located(name, self.path.parent)
        if not source.exists():
            log.warning("%s: PanelShiftsFile %s is missing", self.path, name)
        elif source.resolve() != (folder / source.name).resolve():
            write_atomic(folder / source.name, read_bytes(source))


def moved(darks: Iterable[str], raw_folder: Path) -> tuple[str, ...]:
    """The files of ``Dark`` in the folder that -rawDir names."""
    return tuple(str(raw_folder / Path(dark).name) for dark in darks)


def _comparable(name: str, parameters: Parameters) -> Value:
    """A value; of a path the name, since an archive names the copy in the layer folder."""
    value = parameters.get(name)
    if KEYS[name].kind != PATH or not value:
        return value
    return tuple(Path(path).name for path in (value if KEYS[name].lines else (value,)))
