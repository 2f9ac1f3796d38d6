"""``ff-check``: what is wrong with a parameter file, and what a run would make of it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.runtime.errors import Mistakes, UsageError
from midas.runtime.options import ALLOW_LINKS, Option, absolute
from midas.runtime.result import StageResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from midas.diagnosis.check import Report, Request
    from midas.diagnosis.check.resolved import Row
    from midas.parameters.table import Value


def run(values: argparse.Namespace) -> StageResult[Report]:
    """Print the warnings, and the parameters as a run would have them; the errors come last, and end the program."""
    from midas.diagnosis.check import examine
    from midas.diagnosis.check.resolved import rows
    from midas.diagnosis.check.spelling import without_effect

    report = examine(_request(values), without_effect)
    for line in report.warnings:
        print(f"warning: {line}")
    print(_table(rows(report.subject)))
    if report.errors:
        raise Mistakes(report.errors)
    count = len(report.warnings)
    return StageResult("check", {"Check": f"no errors, {count or 'no'} warning{'' if count == 1 else 's'}"}, report)


def _request(values: argparse.Namespace) -> Request:
    from midas.commands.arguments import is_archive
    from midas.diagnosis.check import PEAK_SEARCH, WHOLE_ANALYSIS, Request
    from midas.pipeline.parameter_check import OPTIONS
    from midas.pipeline.user_file import UserFile, moved

    source, data = values.file or values.paramFN, values.dataFN
    if not source:
        if not data:
            raise UsageError("name the parameter file, or an archive")
        source, data = data, ""
    given = {key: getattr(values, flag.lstrip("-")) for key, flag in OPTIONS.items()}
    settings: dict[str, Value] = {key: word for key, word in given.items() if word}
    if "Dark" in settings:
        settings["Dark"] = (settings["Dark"],)
    archive = Path(source) if is_archive(source) else None
    options = {key: OPTIONS[key] for key in settings}
    darks = UserFile(Path(source)).own["Dark"] if archive is None and "RawFolder" in settings else ()
    if darks and "Dark" not in settings:
        settings["Dark"], options["Dark"] = moved(darks, absolute(values.rawDir)), options["RawFolder"]
    return Request(
        Path(source),
        parts=PEAK_SEARCH if values.peakSearchOnly else WHOLE_ANALYSIS,
        converts=archive is None,
        archive=archive,
        data_file=os.fspath(data),
        layer=values.layerNr,
        settings=settings,
        options=options,
        needs_frames=False,
        links=values.allowLinks == 1,
    )


def _table(rows: Iterable[Row]) -> str:
    table = [("key", "value", "unit", "from"), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


PROGRAMS = (
    Program(
        names=("ff-check",),
        does=(
            "Check a parameter file, or the parameters of an archive, before a run: misspelt, repeated and missing "
            "keys, numbers in other units, rings beside the detector, a space group that does not fit the cell, omega "
            "ranges that were not measured, files that do not exist. Then list all parameters as a run would have "
            "them: value, unit, and where each comes from."
        ),
        uses=(
            "Nothing is written. Raw files are opened for their sizes only; without them what depends on the frames is "
            "not checked. The same check comes before every run of ff-midas and ff-convert. Exit code 1 if there is an "
            "error, 0 if there are only warnings."
        ),
        examples=(
            ("ff-check ps.txt", "with the raw file that ps.txt names"),
            ("ff-check ps.txt -dataFN scan.h5", "with this raw file"),
            ("ff-check scan.MIDAS.zip", "the parameters in an archive"),
        ),
        arguments=(Argument("file", "parameter file or .MIDAS.zip", str, False),),
        options=(
            Option("-paramFN", "parameter file, as for ff-midas", str, ""),
            Option("-dataFN", "raw data file", str, ""),
            Option("-rawDir", "replaces RawFolder, and the folder of Dark, of the parameter file", str, ""),
            Option("-darkFN", "file with dark frames; replaces the key Dark", str, ""),
            Option("-dataLoc", "HDF5 dataset of the frames", str, ""),
            Option("-darkLoc", "HDF5 dataset of the dark frames", str, ""),
            ALLOW_LINKS,
            Option("-grainsFile", "seed grains (a Grains.csv)", str, ""),
            Option("-layerNr", "layer whose raw file is opened", int, 1),
            Option("-peakSearchOnly", "1: only what the peak search needs", int, 0),
        ),
        exact=True,
        run=run,
    ),
)
