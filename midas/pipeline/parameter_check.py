"""The check of the parameters before a run: what the options of the driver mean for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from midas.parameters.table import Value
from midas.pipeline.plan import LayerPlan

if TYPE_CHECKING:
    from midas.pipeline.options import Options

#: of keys that the command line replaces: the option that does it
OPTIONS = {
    "RawFolder": "-rawDir",
    "Dark": "-darkFN",
    "dataLoc": "-dataLoc",
    "darkLoc": "-darkLoc",
    "GrainsFile": "-grainsFile",
}
#: settings of a layer that say nothing about what the user wants
_OWN = ("PanelShiftsFile", "MinNrSpots")


def check(options: Options, plan: LayerPlan, archive: Path | None = None, *, several: bool = False) -> None:
    """Look at the parameters of a run, with the scan of one of its layers; nothing has been written so far.

    Parameters
    ----------
    archive : that the layer starts from, if it converts nothing
    several : whether there are other layers, which run though this one has no raw files

    Raises
    ------
    MidasError : `Mistakes` with a line for each, or the error of a file that cannot be read
    """
    from midas.diagnosis.check import PEAK_SEARCH, SPOT_TABLE, WHOLE_ANALYSIS, Request, before_run

    source = archive if archive is not None else options.parameter_file
    if source is None:
        return
    settings: dict[str, Value]
    flags: dict[str, str]
    settings, flags = ({}, {}) if archive is not None else _settings(options, plan)
    parts = PEAK_SEARCH if options.peak_search_only else SPOT_TABLE if options.spot_table else WHOLE_ANALYSIS
    before_run(
        Request(
            source,
            parts=parts,
            converts=archive is None and not options.spot_table,
            archive=archive,
            data_file=os.fspath(plan.data_file or ""),
            layer=plan.number,
            settings=settings,
            options=flags,
            several=several,
            links=options.allow_links,
            relative_to=None if options.parameter_file is None else options.parameter_file.absolute().parent,
        )
    )
    if options.user_file is not None:
        options.user_file.parameters  # noqa: B018 - readable, or an error now


def _settings(options: Options, plan: LayerPlan) -> tuple[dict[str, Value], dict[str, str]]:
    """The parameters that options replace, and the options that do."""
    user_file = options.user_file
    assert user_file is not None
    changes = {**plan.settings, **user_file.settings(options)}
    if user_file.own.get("GrainsFile", ""):
        changes.pop("GrainsFile", None)  # the option has it from there
    settings = {name: value for name, value in changes.items() if name not in _OWN}
    start = "-fileName" if options.file_name else "-batchMode"
    flags = {**dict.fromkeys(plan.settings, start), **OPTIONS}
    if not options.dark_file:
        flags["Dark"] = OPTIONS["RawFolder"]  # which moves it
    return settings, {name: flags[name] for name in settings}
