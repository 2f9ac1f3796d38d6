"""The check of the parameters before a run: what the options of the driver mean for it."""

from __future__ import annotations

import os
from pathlib import Path

from midas.parameters.table import Value
from midas.pipeline.options import Options
from midas.pipeline.plan import LayerPlan


def check(options: Options, plans: list[LayerPlan], archive: Path | None = None) -> None:
    """Look at the parameters of a run, for its first layer; nothing has been written so far.

    Parameters
    ----------
    archive : that the run starts from, if it converts nothing

    Raises
    ------
    MidasError : `Mistakes` with a line for each, or the error of a file that cannot be read
    """
    from midas.diagnosis.check import OF_SPOTS, PEAK_SEARCH, WHOLE_ANALYSIS, Request, before_run

    plan = plans[0]
    settings, flags = _settings(options)
    source = archive if archive is not None else options.parameter_file
    if source is None:
        return
    request = Request(
        source,
        parts=OF_SPOTS if options.spot_table else PEAK_SEARCH if options.peak_search_only else WHOLE_ANALYSIS,
        converts=archive is None and not options.spot_table,
        archive=archive,
        data_file=os.fspath(plan.data_file or ""),
        layer=plan.number,
        settings={**plan.settings, **settings},
        options=flags,
        several=len(plans) > 1,
    )
    before_run(request)


def _settings(options: Options) -> tuple[dict[str, Value], dict[str, str]]:
    """The parameters that options replace, and the options that do."""
    settings: dict[str, Value] = {}
    flags = {}
    own = None if options.user_file is None else options.user_file.own
    if options.grains_file is not None and (own is None or not own.get("GrainsFile", "")):
        settings["GrainsFile"] = os.fspath(options.grains_file)
        flags["GrainsFile"] = "-grainsFile"
    if options.raw_folder is not None:
        settings["RawFolder"] = os.fspath(options.raw_folder)
        flags["RawFolder"] = "-rawDir"
        if own is not None and (darks := own["Dark"]):
            settings["Dark"] = tuple(os.fspath(options.raw_folder / Path(dark).name) for dark in darks)
            flags["Dark"] = "-rawDir"
    return settings, flags
