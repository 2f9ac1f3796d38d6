"""The driver: layers times stages in one process (spec chapter 07 §2.2, §4.6, §5.6).

The stages hand their tables on in memory and write the same files as the separate commands. Under MPI the stages that
share their work run on every rank and read their input from the files; the others run on rank 0.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from midas.archive import Archive, set_dataset
from midas.errors import MidasError, ParameterError, StageError, UsageError
from midas.files import atomic_output, make_folder, read_bytes, remove, write_atomic
from midas.layer import Layer, StageResult
from midas.parallel import SERIAL, Communicator, communicator, thread_count
from midas.parameters import ANALYSIS, Parameters

log = logging.getLogger(__name__)

#: options of the manual that this version does not carry out, and the value that means "not used"
NOT_YET = {"fileName": "", "provideInputAll": 0, "batchMode": 0}


@dataclass
class Options:
    """What the user asks of the driver; the names follow the options of the command line."""

    parameter_file: Path | None = None
    data_file: str = ""
    result_folder: Path = field(default_factory=Path.cwd)
    threads: int = 1
    first_layer: int = 1
    last_layer: int = 1
    convert: bool = True
    peak_search: bool = True
    peak_search_only: bool = False
    frame_chunks: int = -1
    threshold: int = -1
    raw_folder: str = ""
    grains_file: Path | None = None
    per_spot_groups: int = -1


def command(values: argparse.Namespace) -> StageResult:
    """``ff-midas`` with its command line."""
    if values.surplus and values.surplus[0] == "demo":
        from midas import demo

        return demo.run(values.surplus[1:], thread_count(values.nCPUs))
    _log_like_the_driver()
    for name, unused in NOT_YET.items():
        if getattr(values, name) != unused:
            raise UsageError("this option is not available yet", key=f"-{name}", value=getattr(values, name))
    if values.machineName != "local":
        raise UsageError(
            "only 'local' is available; on a cluster use mpirun", key="-machineName", value=values.machineName
        )
    if values.startLayerNr < 1 or values.endLayerNr < values.startLayerNr:
        raise UsageError("must be at least 1 and not above -endLayerNr", key="-startLayerNr", value=values.startLayerNr)
    if values.reprocess == 1:
        return reprocess(
            Path(values.resultFolder or ".").expanduser(), thread_count(values.nCPUs), values.perSpotGroups
        )
    if not values.paramFN and not values.dataFN:
        raise UsageError("Either -paramFN or -dataFN must be provided")
    return run(_options(values))


def _options(values: argparse.Namespace) -> Options:
    parameter_file = Path(values.paramFN).expanduser().absolute() if values.paramFN else None
    parameters = Parameters.read(parameter_file) if parameter_file else None
    folder, grains = values.resultFolder, values.grainsFile
    if parameters is not None:
        folder = folder or parameters.get("ResultFolder", "")
        grains = grains or parameters.get("GrainsFile", "")
    return Options(
        parameter_file=parameter_file,
        data_file=os.path.abspath(os.path.expanduser(values.dataFN)) if values.dataFN else "",
        result_folder=Path(folder or ".").expanduser().absolute(),
        threads=thread_count(values.nCPUs),
        first_layer=values.startLayerNr,
        last_layer=values.endLayerNr,
        convert=values.convertFiles == 1,
        peak_search=values.doPeakSearch == 1,
        peak_search_only=values.peakSearchOnly == 1,
        frame_chunks=values.numFrameChunks,
        threshold=values.preProcThresh,
        raw_folder=values.rawDir if len(values.rawDir) > 1 else "",
        grains_file=Path(grains).expanduser().absolute() if grains else None,
        per_spot_groups=values.perSpotGroups,
    )


def run(options: Options) -> StageResult:
    """Process the layers one after the other; the first failure ends the run."""
    comm = communicator()
    if options.grains_file is not None:
        read_bytes(options.grains_file)
    if options.convert and options.parameter_file is None:
        raise UsageError("the conversion needs a parameter file; give -paramFN, or -convertFiles 0 for an archive")
    layers = range(options.first_layer, options.last_layer + 1)
    summary: dict[str, Any] = {}
    for done, number in enumerate(layers, 1):
        started = time.perf_counter()
        try:
            summary |= _LayerRun(options, number, comm).run()
        except MidasError as error:
            raise type(error)(f"Failed to process layer {number}: {error}") from None
        log.info(
            "Layer processing: %d/%d (%.0f%%), elapsed: %.1f s - Layer %d completed successfully",
            done, len(layers), 100 * done / len(layers), time.perf_counter() - started, number,
        )  # fmt: skip
    log.info("All layers processed successfully")
    return StageResult("midas", summary)


class _LayerRun:
    """One layer: its folder, its archive, and what the stages hand to each other."""

    def __init__(self, options: Options, number: int, comm: Communicator):
        self.options, self.number, self.comm = options, number, comm
        self.folder = options.result_folder / f"LayerNr_{number}"
        self.seconds: dict[str, float] = {}

    def run(self) -> dict[str, Any]:
        if self.comm.rank == 0:
            self.prepare()
        self.comm.barrier()
        archive = self.comm.broadcast(self.archive() if self.comm.rank == 0 else None)
        with Archive(archive) as opened:
            parameters = opened.parameters
        layer = Layer(self.folder, archive, f"{self.folder}/")
        hkls, peaks = self.until_peaks(layer, parameters)
        if self.options.peak_search_only:
            return {f"Layer {self.number}": f"peaks in {layer.temp}"}
        setup = self.spots(layer, parameters, hkls, peaks)
        return self.grains(layer, parameters, setup, hkls)

    # Steps 0 and 1: folder and archive
    def prepare(self) -> None:
        """The layer folder; an old Grains.csv must not look like the result of a run that failed."""
        layer = Layer(self.folder)
        for folder in (layer.logs, layer.output, layer.temp, layer.results):
            make_folder(folder)
        link = self.folder / "output"
        if not link.exists() and not link.is_symlink():  # on a case-insensitive file system it is Output/
            link.symlink_to(layer.logs.name)
        remove(layer.grains, *self.folder.glob("*_consolidated.h5"))
        if self.options.parameter_file is not None:
            write_atomic(self.folder / self.user_file.name, self.parameter_text())

    @property
    def user_file(self) -> Path:
        """The user's parameter file; it is never changed."""
        if self.options.parameter_file is None:
            raise UsageError("is needed here", key="-paramFN")
        return self.options.parameter_file

    def parameter_text(self) -> bytes:
        """The user's parameter file with what the options change, for the copy in the layer folder."""
        text = read_bytes(self.user_file)
        if not self.options.raw_folder:
            return text
        lines = [f"RawFolder {self.options.raw_folder}"]
        if dark := Parameters.read(self.user_file).get("Dark", ""):
            lines.append(f"Dark {Path(self.options.raw_folder) / Path(dark).name}")
        return text.rstrip(b"\n") + b"\n" + "".join(f"{line}\n" for line in lines).encode()

    def archive(self) -> Path:
        """Convert the raw scan, or take the archive that is there; either way it names the layer's folder."""
        path = self.converted_archive() if self.options.convert else self.existing_archive()
        set_dataset(path, ANALYSIS + "ResultFolder", np.array([f"{self.folder}/".encode()]))
        return path

    def converted_archive(self) -> Path:
        from midas.convert import conversion

        options, original = self.options, self.user_file
        return self.stage("ZipOut", "Failed to generate ZIP file", lambda: conversion.run(
            self.folder / original.name,
            self.folder,
            data_file=options.data_file,
            frame_chunks=options.frame_chunks,
            threshold=options.threshold,
            layer=self.number,
            threads=options.threads,
            relative_to=original.parent,
        )).data  # fmt: skip

    def existing_archive(self) -> Path:
        if not self.options.data_file:
            p = Parameters.read(self.user_file)
            file_number = p["StartFileNrFirstLayer"] + (self.number - 1) * p["NrFilesPerSweep"]
            path = self.folder / f"{p['FileStem']}_{file_number:0{p['Padding']}d}.MIDAS.zip"
            if not path.exists():
                raise ParameterError("does not exist; run with -convertFiles 1, or give -dataFN", file=path)
            return path
        given = Path(self.options.data_file)
        path = self.folder / given.name
        if not path.exists():
            with Archive(given):  # an unreadable archive is not worth a copy
                log.info("Copying %s into %s", given, self.folder)
            with atomic_output(path) as target, open(given, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 24)
        return path

    # Steps 2 to 6: reflections, peaks, spots
    def until_peaks(self, layer: Layer, parameters: Parameters) -> tuple[Any, Any]:
        from midas.stages import hkls, peaks

        reflections = self.serial("hkls", "Failed to generate HKLs", lambda: hkls.run(layer, parameters))
        found = None
        if self.options.peak_search:
            found = self.shared("peaksearch", "Failed peak search", lambda: peaks.run(
                layer, parameters, threads=self.options.threads, comm=self.comm, hkls=reflections
            ))  # fmt: skip
        return reflections, found

    def spots(self, layer: Layer, parameters: Parameters, hkls: Any, found_peaks: Any) -> Any:
        from midas.stages import binning, fit_setup, merge, radius

        threads = self.options.threads
        merged = self.serial("merge_overlaps", "Failed to merge peaks", lambda: merge.run(
            layer, parameters, threads=threads, peaks=found_peaks
        ))  # fmt: skip
        sizes = self.serial("calc_radius", "Failed to calculate radii", lambda: radius.run(
            layer, parameters, threads=threads, hkls=hkls, merged=merged[0] if merged else None
        ))  # fmt: skip
        setup = self.serial("fit_setup", "Failed to transform the spots", lambda: fit_setup.run(
            layer, parameters, threads=threads, hkls=hkls, radius=sizes
        ))  # fmt: skip
        if self.comm.rank == 0:
            self.append_to_paramstest(layer)
        self.comm.barrier()
        spots = self.serial("binning", "Failed to bin the spots", lambda: binning.run(
            layer, self.paramstest(layer), threads=threads, spots=setup
        ))  # fmt: skip
        return setup, spots

    def append_to_paramstest(self, layer: Layer) -> None:
        """Step 7: lines that the setup stage does not hand on (guided indexing, rings without a say)."""
        lines = []
        if self.options.grains_file is not None:
            lines.append(f"GrainsFile {self.options.grains_file}")
        if self.options.parameter_file is not None:
            text = read_bytes(self.user_file).decode("utf-8", "replace")
            lines += [line.strip() for line in text.splitlines() if line.strip().startswith("RingsToExcludeFraction")]
        if lines:
            old = read_bytes(layer.paramstest).decode()
            write_atomic(layer.paramstest, (old + "".join(f"{line}\n" for line in lines)).encode())

    def paramstest(self, layer: Layer) -> Parameters:
        return Parameters.read(layer.paramstest, "paramstest")

    # Steps 9 to 12: orientations, grains, results
    def grains(self, layer: Layer, parameters: Parameters, setup: Any, hkls: Any) -> dict[str, Any]:
        from midas.results import consolidated
        from midas.stages import grains, indexing, refinement

        tables, spots = setup
        spot_table, extra_table = spots if spots else (None, None)
        seeds = tables.spots_to_index if tables and self.options.grains_file is None else None
        shared = {"threads": self.options.threads, "comm": self.comm, "hkls": hkls}
        p = self.paramstest(layer)
        indexed = self.shared("indexing", "Failed indexing", lambda: indexing.run(
            layer, p, seeds=seeds, spots=spot_table, **shared
        ))  # fmt: skip
        refined = self.shared("refining", "Failed refinement", lambda: refinement.run(
            layer, p, seeds=seeds, indexed=indexed, extra_info=extra_table, **shared
        ))  # fmt: skip
        track = self.options.grains_file is not None
        found = self.serial("process_grains", "Failed to process grains", lambda: grains.run(
            layer, parameters, threads=self.options.threads, track=track, refined=refined,
        ))  # fmt: skip
        if self.comm.rank != 0:
            return {}
        first_line = read_bytes(layer.grains).split(b"\n", 1)[0].decode()
        print(f"First line of Grains.csv: {first_line}")
        self.timed("consolidation", lambda: consolidated.write(layer, per_spot_groups=self.options.per_spot_groups))
        log.debug("%s", found)
        return {
            f"Layer {self.number}": f"{first_line.split()[-1]} grains in {layer.grains}",
            "Results": layer.consolidated,
            **{f"  {name}": f"{seconds:8.2f} s" for name, seconds in self.seconds.items()},
        }

    # How a stage runs
    def serial(self, name: str, failure: str, work: Callable[[], StageResult]) -> Any:
        """A stage that one process does; its data, on rank 0 only when there are others."""
        data = None
        if self.comm.rank == 0:
            data = self.stage(name, failure, work).data
        self.comm.barrier()
        return data if self.comm.size == 1 else None

    def shared(self, name: str, failure: str, work: Callable[[], StageResult]) -> Any:
        """A stage whose work is shared over the ranks; its data only when this process has all of it."""
        result = self.stage(f"{name}", failure, work)
        self.comm.barrier()
        return result.data if self.comm.size == 1 else None

    def stage(self, name: str, failure: str, work: Callable[[], StageResult]) -> StageResult:
        """Run a stage with its messages in midas_log/, as the legacy driver kept its programs' output."""
        block = f"{self.comm.rank}" if name in ("peaksearch", "indexing", "refining") else ""
        output = "ZipOut.txt" if name == "ZipOut" else f"{name}_out{block}.csv"
        errors = self.folder / "midas_log" / f"{name}_err{block}.csv"
        with _logged_to(self.folder / "midas_log" / output):
            if name != "ZipOut":
                write_atomic(errors, b"")
            try:
                result = self.timed(name, work)
            except MidasError as error:
                if name != "ZipOut":
                    write_atomic(errors, f"{error}\n".encode())
                raise type(error)(f"{failure}: {error}") from None
            for label, value in result.summary.items():
                logging.getLogger("midas.stages").info("%s: %s", label, value)
        return result

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        self.seconds[name] = time.perf_counter() - started
        log.info("%s: %.2f s", name, self.seconds[name])
        return result


def reprocess(folder: Path, threads: int, per_spot_groups: int) -> StageResult:
    """Merge the peaks and write the consolidated HDF5 of finished layers again (spec chapter 07 §4.9)."""
    from midas.results import consolidated
    from midas.stages import merge

    folders = sorted(path for path in folder.glob("LayerNr_*") if path.is_dir()) or [folder]
    failed = []
    for path in folders:
        archives = sorted(path.glob("*.MIDAS.zip"))
        if len(archives) != 1:
            failed.append(f"{path}: {len(archives)} .MIDAS.zip files where one is needed")
            continue
        layer = Layer(path.absolute(), archives[0].absolute(), f"{path.absolute()}/")
        try:
            set_dataset(archives[0], ANALYSIS + "ResultFolder", np.array([layer.folder_text.encode()]))
            with Archive(archives[0]) as archive:
                parameters = archive.parameters
            with _logged_to(make_folder(layer.logs) / "merge_overlaps_reprocess_out.csv"):
                merge.run(layer, parameters, threads=threads, comm=SERIAL)
            consolidated.write(layer, per_spot_groups=per_spot_groups)
        except MidasError as error:
            failed.append(str(error))
    if failed:
        raise StageError("; ".join(failed))
    return StageResult("reprocess", {"Layers": len(folders)})


def _log_like_the_driver() -> None:
    """Messages of the driver on stderr with a time; those of the stages only in their files."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s - MIDAS - %(levelname)s - %(message)s", "%Y-%m-%d %H:%M:%S"))
    handler.addFilter(lambda record: record.name == __name__ or record.levelno >= logging.WARNING)
    logging.getLogger("midas").handlers = [handler]


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Messages of the stages in a file while the block runs."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("midas")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
