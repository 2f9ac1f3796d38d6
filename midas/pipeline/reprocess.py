"""Finished layers again from their peaks: merged spots and consolidated HDF5 (docs/guide.md)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from midas.archive import set_dataset
from midas.formats.layer import Layer
from midas.formats.run_record import StepRecord
from midas.parameters import ANALYSIS, Parameters
from midas.pipeline import consolidation, copies, layer_page
from midas.pipeline.opened_layer import opened_layer
from midas.pipeline.record import again
from midas.runtime import logs
from midas.runtime.errors import ArchiveError, MidasError, OutputError, StageError
from midas.runtime.files import write_atomic
from midas.runtime.locks import folder_lock
from midas.runtime.named_paths import make_subfolder
from midas.runtime.parallel import Communicator, communicator
from midas.runtime.result import StageResult, whole_numbers
from midas.stages import merge

log = logging.getLogger(__name__)


def run(
    folder: Path,
    *,
    threads: int,
    per_spot_groups: int = -1,
    report: bool = True,
    comm: Communicator | None = None,
) -> StageResult[None]:
    """Merge the peaks of every layer in `folder`, or of `folder` itself, and write its consolidated HDF5 again.

    A layer that fails does not keep the others from being processed.

    Raises
    ------
    StageError
        when a layer failed, with the reasons
    """
    comm = communicator() if comm is None else comm
    if comm.rank:
        comm.barrier()
        return StageResult("reprocess", {}, None)
    if not folder.is_dir():
        raise ArchiveError("is not a folder", file=folder)
    folders = sorted((path for path in folder.glob("LayerNr_*") if path.is_dir()), key=_number) or [folder]
    failed = []
    for path in folders:
        log.info("Reprocessing %s", path)
        try:
            with folder_lock(path.absolute(), "ff-midas -reprocess"):
                _layer(path.absolute(), threads, per_spot_groups, report)
        except MidasError as error:
            log.error("%s", error)
            failed.append(str(error))
    if failed:
        raise StageError(f"Failed to reprocess {len(failed)} of {len(folders)} layers: {'; '.join(failed)}")
    comm.barrier()
    return StageResult("reprocess", {"Layers": len(folders)}, None)


def _number(folder: Path) -> tuple[int, str]:
    number = folder.name.removeprefix("LayerNr_")
    return int(number) if number.isdecimal() else 0, folder.name


def _layer(folder: Path, threads: int, per_spot_groups: int, report: bool) -> None:
    from midas.calibration import sigma_of_grains
    from midas.formats.geometry import read_geometry
    from midas.results.tables.sources import LayerTables

    archives = sorted(folder.glob("*.MIDAS.zip"))
    if not archives:
        raise ArchiveError("No .MIDAS.zip file found", file=folder)
    if len(archives) > 1:
        names = ", ".join(path.name for path in archives)
        raise ArchiveError(f"holds {names}; move all but one of them away", file=folder)
    copies.instead_of_link(archives[0])
    # The folder may have been moved since.
    set_dataset(archives[0], ANALYSIS + "ResultFolder", np.array([os.fsencode(f"{folder}/")]))
    layer, parameters = opened_layer(folder, archives[0])
    started = time.perf_counter()
    errors = make_subfolder(layer.logs) / "merge_overlaps_reprocess_err.csv"
    try:
        with logs.file(layer.logs / "merge_overlaps_reprocess_out.csv"):
            merged = merge.run(layer, parameters, threads=threads)
        write_atomic(errors, b"")
        tables = LayerTables()
        if layer.grains_sigma.exists():  # the covariances are in no other file
            sigmas = sigma_of_grains(layer, threads=threads)
            if read_geometry(layer) is not None:  # ff-geometry may have run since
                write_atomic(layer.grains_sigma, sigmas.format())
            tables.sigmas = sigmas.rounded()
        _write_record(layer, parameters, threads, merged.summary, time.perf_counter() - started)
        consolidation.of_layer(layer, parameters, tables, per_spot_groups)
        if report:
            layer_page.of_layer(layer, parameters, threads)
    except OSError as error:
        raise OutputError(f"{error.strerror or error}", file=error.filename or folder) from None
    except MidasError as error:
        write_atomic(errors, f"{error}\n".encode("utf-8", "surrogateescape"))
        raise


def _write_record(
    layer: Layer, parameters: Parameters, threads: int, summary: Mapping[str, object], seconds: float
) -> None:
    """The record of the layer, with this merging in place of the earlier one."""
    record = again(layer, parameters, threads)
    counts = whole_numbers([summary])
    step = StepRecord("merge_overlaps", round(seconds, 3), counts, record.date)
    at = next((i for i, old in enumerate(record.steps) if old.name == step.name), len(record.steps))
    record.changed(steps=(*record.steps[:at], step, *record.steps[at + 1 :])).write(layer.run_record)
