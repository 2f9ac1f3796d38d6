"""``ff-midas``: the command line of the pipeline (spec chapter 07 §2.2, manual §3)."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from midas.pipeline.user_file import UserFile
from midas.runtime.errors import UsageError
from midas.runtime.parallel import thread_count

if TYPE_CHECKING:
    from midas.formats.layer import StageResult
    from midas.pipeline import FinishedLayer, Options

#: options of the manual that this version does not carry out, and the value that means "not used"
NOT_YET = {"fileName": "", "provideInputAll": 0, "batchMode": 0}


def command(values: argparse.Namespace) -> StageResult:
    """Do what the command line says."""
    if values.demo:
        from midas.pipeline import demo

        return demo.run(values.demo[1:], thread_count(values.nCPUs))
    _check(values)
    if values.reprocess == 1:
        from midas.pipeline import reprocess

        return reprocess.run(
            _folder(values.resultFolder),
            threads=thread_count(values.nCPUs),
            per_spot_groups=values.perSpotGroups,
            report=values.report == 1,
        )
    from midas import pipeline

    return pipeline.run(options_of(values), finished=_say_grain_count)


def _check(values: argparse.Namespace) -> None:
    """The options that can be wrong by themselves."""
    for name, unused in NOT_YET.items():
        if getattr(values, name) != unused:
            raise UsageError("this option is not available yet", key=f"-{name}", value=getattr(values, name))
    if values.machineName != "local":
        reason = "only 'local' is available yet; on a cluster start ff-midas with mpirun or srun"
        raise UsageError(reason, key="-machineName", value=values.machineName)
    if values.startLayerNr < 1:
        raise UsageError("must be at least 1", key="-startLayerNr", value=values.startLayerNr)
    if values.endLayerNr < values.startLayerNr:
        reason = f"must not be below -startLayerNr {values.startLayerNr}"
        raise UsageError(reason, key="-endLayerNr", value=values.endLayerNr)
    if values.reprocess != 1 and not values.paramFN and not values.dataFN:
        raise UsageError("Either -paramFN or -dataFN must be provided (see ff-midas --help)")


def options_of(values: argparse.Namespace) -> Options:
    """The options of the pipeline; of the keys that mean the same as an option the option wins."""
    from midas.pipeline import Options

    parameter_file = absolute(values.paramFN) if values.paramFN else None
    folder, grains = values.resultFolder, values.grainsFile
    if parameter_file is not None:
        keys = UserFile(parameter_file).parameters
        folder = folder or keys.get("ResultFolder", "")
        grains = grains or _beside(parameter_file, keys.get("GrainsFile", ""))
    return Options(
        parameter_file=parameter_file,
        data_file=str(absolute(values.dataFN)) if values.dataFN else "",
        result_folder=_folder(folder),
        threads=thread_count(values.nCPUs),
        first_layer=values.startLayerNr,
        last_layer=values.endLayerNr,
        convert=values.convertFiles == 1,
        peak_search=values.doPeakSearch == 1,
        peak_search_only=values.peakSearchOnly == 1,
        frame_chunks=values.numFrameChunks,
        threshold=values.preProcThresh,
        raw_folder=str(absolute(values.rawDir)) if len(values.rawDir) > 1 else "",
        grains_file=absolute(grains) if grains else None,
        per_spot_groups=values.perSpotGroups,
        report=values.report == 1,
    )


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path as the user meant it where the command was called."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def _folder(path: str) -> Path:
    return absolute(path or ".")


def _beside(parameter_file: Path, name: str) -> str:
    """A file that the parameter file names: as it stands, else relative to the folder of the parameter file."""
    if not name or os.path.exists(os.path.expanduser(name)):
        return name
    return str(parameter_file.parent / os.path.expanduser(name))


def _say_grain_count(layer: FinishedLayer) -> None:
    """The one line on stdout that scripts wait for."""
    if layer.grains is not None:
        print(f"First line of Grains.csv: %NumGrains {len(layer.grains)}", flush=True)
