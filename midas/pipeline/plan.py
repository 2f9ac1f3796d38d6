"""Which layers a run has: their numbers and folders, and what each takes from where."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from midas.parameters import Parameters
from midas.parameters.table import Value
from midas.runtime.errors import FormatError, ParameterError, UsageError

if TYPE_CHECKING:
    from midas.pipeline.options import Options

log = logging.getLogger(__name__)

#: `<stem>_<number><ending>`, which begins at the first dot after the last underscore
_NUMBERED = re.compile(r"(?P<stem>.+)_(?P<number>\d+)(?P<ending>\.[^_]*)")


@dataclass(frozen=True)
class LayerPlan:
    """One layer before it runs.

    Parameters
    ----------
    number : of the layer
    folder : of its results
    data_file : the raw file or archive that the user named for it; None: the parameter file says
    settings : keys of the parameter file that have another value for this layer
    """

    number: int
    folder: Path
    data_file: Path | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)


def plans(options: Options) -> list[LayerPlan]:
    """The layers of a run, in order."""
    if options.file_name:
        return [_of_one_file(options)]
    if options.batch:
        return list(_of_raw_folder(options))
    named = options.data_file
    if named is not None and options.convert and len(options.layers) > 1:
        log.info("%s is layer 1; the parameter file names the raw files of the others", named)
    everywhere = not options.convert or len(options.layers) == 1
    return [
        LayerPlan(number, layer_folder(options, number), named if everywhere or number == 1 else None)
        for number in options.layers
    ]


def layer_folder(options: Options, number: int) -> Path:
    """Where the results of a layer are."""
    return options.result_folder / f"LayerNr_{number}"


def _of_one_file(options: Options) -> LayerPlan:
    """-fileName: the number of the file is that of the layer, and the results have a folder of their own."""
    path = Path(options.file_name).expanduser()
    found = _NUMBERED.fullmatch(path.name)
    if found is None:
        raise UsageError("must be <stem>_<number><ending>", key="-fileName", value=options.file_name)
    number = int(found["number"])
    layer = max(number, 1)
    settings: dict[str, Value] = {
        "FileStem": found["stem"],
        "Ext": found["ending"],
        "Padding": len(found["number"]),
        "StartFileNrFirstLayer": number - (layer - 1) * _own(options)["NrFilesPerSweep"],
    }
    folder = options.result_folder / f"analysis_{path.name.partition('.')[0]}"
    if path.parent != Path():
        settings["RawFolder"] = str(path.parent.absolute())
    data_file = options.data_file
    # A stem of the parameter file is one word.
    if data_file is None and (".h5" in path.name or path.name.endswith(".zip") or len(path.name.split()) > 1):
        data_file = _found(options, path)
    if data_file is not None:
        settings = {}
    return LayerPlan(layer, folder, data_file, settings)


def _found(options: Options, path: Path) -> Path:
    """The file where the user is, else in RawFolder."""
    raw_folder = options.raw_folder or _own(options).get("RawFolder", "")
    if path.exists() or path.is_absolute() or not raw_folder:
        return path.absolute()
    return _raw_folder(options) / path


def _own(options: Options) -> Parameters:
    """What the pipeline reads of the parameter file; defaults without one."""
    return Parameters({}).for_stage("pipeline") if options.user_file is None else options.user_file.own


def _raw_folder(options: Options) -> Path:
    """The folder of the raw files: that of the command line, else that of the parameter file, as it finds it."""
    assert options.user_file is not None
    if options.raw_folder is not None:
        return options.raw_folder
    folder = Path(options.user_file.own["RawFolder"]).expanduser()
    return folder if folder.is_absolute() or folder.exists() else options.user_file.path.parent / folder


def _of_raw_folder(options: Options) -> Iterator[LayerPlan]:
    """-batchMode: the files of RawFolder with the right ending and digits, by number."""
    own = _own(options)
    if own["NrFilesPerSweep"] != 1:
        raise own.error("NrFilesPerSweep", "must be 1 for -batchMode, where every file is a layer")
    first: int = own.get("StartFileNrFirstLayer", 1)
    ending: str = own.get("Ext", ".ge3")
    ending = ending if ending.startswith(".") else f".{ending}"
    folder = _raw_folder(options)
    if not folder.is_dir():
        raise FormatError("is not a folder (RawFolder)", file=folder)
    files = _numbered_files(folder, own["Padding"], ending)
    wanted = {number: name for number, name in files.items() if number - first + 1 in options.layers}
    pattern = f"<stem>_<{own['Padding']} digits>{ending}"
    if not wanted:
        lowest = first + options.first_layer - 1
        numbers = f"{lowest} ..." if options.every_file else f"{lowest} ... {first + options.layers[-1] - 1}"
        reason = f"Batch mode: no valid files found in the specified range: {pattern} with numbers {numbers}"
        raise FormatError(f"{reason}; {_there(files)}", file=folder)
    log.info("Batch mode: %d of %d files %s in %s", len(wanted), len(files), pattern, folder)
    for number, name in sorted(wanted.items()):
        layer = number - first + 1
        settings = {"FileStem": name, "Ext": ending, "StartFileNrFirstLayer": first}
        path = folder.absolute() / f"{name}_{number:0{own['Padding']}d}{ending}"
        is_word = len(path.name.split()) == 1
        yield LayerPlan(layer, layer_folder(options, layer), None if is_word else path, settings if is_word else {})


def _numbered_files(folder: Path, digits: int, ending: str) -> dict[int, str]:
    """Number -> stem of the files of a batch, without darks."""
    pattern = re.compile(rf"(.+)_(\d{{{digits}}}){re.escape(ending)}")
    found: dict[int, str] = {}
    for path in sorted(folder.iterdir()):
        match = pattern.fullmatch(path.name)
        if match is None or re.match(r"dark(_|$)", match[1], re.IGNORECASE):
            continue
        number = int(match[2])
        if number in found:
            reason = f"holds {found[number]}_{match[2]}{ending} and {path.name}; one number is one layer"
            raise ParameterError(reason, file=folder)
        found[number] = match[1]
    return found


def _there(files: Mapping[int, str]) -> str:
    return f"there are numbers {min(files)} ... {max(files)}" if files else "there are none with any number"
