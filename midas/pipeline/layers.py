"""The pipeline: layers times stages in one process (spec chapter 07 §4.6, §5.6).

The stages hand their tables on in memory and write the same files as the separate commands. Under MPI the stages that
share their work run on every rank and read their input from the files; the others run on rank 0.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from midas.archive import Archive, set_dataset
from midas.formats.layer import Layer, StageResult
from midas.formats.table import Table
from midas.parameters import ANALYSIS, Parameters
from midas.pipeline.user_file import UserFile
from midas.runtime import logs
from midas.runtime.errors import ArchiveError, FormatError, MidasError, StageError, UsageError
from midas.runtime.files import atomic_output, make_folder, read_bytes, remove, write_atomic
from midas.runtime.parallel import Communicator, communicator

log = logging.getLogger(__name__)

#: what a failing step is called in messages, by the name of its logs
_FAILURES = {
    "ZipOut": "Failed to generate ZIP file",
    "hkls": "Failed to generate HKLs: HKL generation failed",
    "peaksearch": "Peak search failed",
    "merge_overlaps": "Peak merging failed",
    "calc_radius": "Radius calculation failed",
    "fit_setup": "Data transformation failed",
    "binning": "Data binning failed",
    "indexing": "Indexing failed",
    "refining": "Refinement failed",
    "process_grains": "Grain processing failed",
    "consolidation": "Failed to write the consolidated results",
}
_NO_SEEDS = (
    "No ID was found in SpotsToIndex.csv file. Please check the ring thresholds, OverAllRingToIndex, "
    "MinOmeSpotIDsToIndex and MaxOmeSpotIDsToIndex"
)
#: steps that the ranks of an MPI run share, with a log of each
_SHARED = ("peaksearch", "indexing", "refining")


@dataclass
class Options:
    """What the user asks of the pipeline.

    Parameters
    ----------
    parameter_file : not needed where an archive exists, which holds its own parameters
    data_file : raw data, or an archive
    result_folder : a layer's results are in ``LayerNr_<n>`` in it
    threads : of every process
    first_layer, last_layer : both are processed
    convert : make the archive; else it is there
    peak_search : search peaks; else they are there
    peak_search_only : stop after the peak search
    frame_chunks, threshold : of the conversion, -1 = default
    raw_folder : replaces RawFolder, and the folder of Dark
    grains_file : find the grains of this ``Grains.csv`` instead of searching
    per_spot_groups : of the consolidated HDF5: 1 always, 0 never, -1 up to 5000 spots
    report : also write the web page
    """

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
    report: bool = False


@dataclass
class FinishedLayer:
    """A layer that is done.

    Parameters
    ----------
    number : of the layer
    layer : the paths of all its files
    grains, spot_matrix : `Table` of Grains.csv and SpotMatrix.csv; None after a peak search only, and on all ranks of
        an MPI run but the first
    seconds : that each step took
    """

    number: int
    layer: Layer
    grains: Table | None = None
    spot_matrix: Table | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def run(
    options: Options,
    *,
    comm: Communicator | None = None,
    finished: Callable[[FinishedLayer], object] | None = None,
) -> StageResult:
    """Process the layers one after the other; the first failure ends the run.

    Parameters
    ----------
    comm : the processes that share the work; those of the MPI run by default
    finished : is called with every layer that is done

    Returns
    -------
    StageResult whose data is the list of `FinishedLayer`
    """
    comm = communicator() if comm is None else comm
    options = _checked(options)
    layers = range(options.first_layer, options.last_layer + 1)
    done: list[FinishedLayer] = []
    started = time.perf_counter()
    for number in layers:
        try:
            done.append(_LayerRun(options, number, comm).run())
        except MidasError as error:
            raise StageError(f"Failed to process layer {number}: {error}") from None
        if comm.rank:
            continue
        if finished is not None:
            finished(done[-1])
        log.info(
            "Layer processing: %d/%d (%.0f%%), elapsed: %.1f s - Layer %d completed successfully",
            *(len(done), len(layers), 100 * len(done) / len(layers), time.perf_counter() - started, number),
        )
    if comm.rank == 0:
        log.info("All layers processed successfully")
    return StageResult("midas", {} if comm.rank else _summary(done), done)


def _summary(done: list[FinishedLayer]) -> dict[str, str]:
    """Rows of the closing table: what every layer gave, and what took the time."""
    rows = {}
    for layer in done:
        found = f"peaks in {layer.layer.temp}" if layer.grains is None else f"{len(layer.grains)} grains"
        rows[f"Layer {layer.number}"] = found
        if layer.grains is not None:
            rows[f"Results {layer.number}"] = f"{layer.layer.grains}, {layer.layer.consolidated.name}"
    steps = dict.fromkeys(name for layer in done for name in layer.seconds)
    rows |= {f"  {name}": f"{sum(layer.seconds.get(name, 0) for layer in done):8.2f} s" for name in steps}
    return rows


def _checked(options: Options) -> Options:
    """The options, once every input that must exist does; nothing has been written so far."""
    if options.grains_file is not None:
        read_bytes(options.grains_file, advice="it must be a Grains.csv")
    if options.parameter_file is not None:
        UserFile(options.parameter_file).parameters  # noqa: B018 - readable, or an error now
    if options.convert and options.parameter_file is None:
        if not options.data_file.endswith(".zip"):
            raise UsageError("the conversion needs a parameter file; give -paramFN, or an archive as -dataFN")
        options = replace(options, convert=False)  # an archive carries its parameters
    layers = range(options.first_layer, options.last_layer + 1)
    if not options.convert:
        for number in layers:
            _existing_archive(options, number)
    elif options.data_file and 1 in layers and not Path(options.data_file).is_file():
        raise FormatError("raw data file is missing", file=options.data_file)
    return options


def _existing_archive(options: Options, number: int) -> Path:
    """The archive of a layer: in its folder, else where the user says."""
    folder = _folder(options, number)
    if options.data_file:
        given = Path(options.data_file)
        path = folder / given.name
        if path.exists() or given.exists():
            return path if path.exists() else given
        raise ArchiveError(f"is missing, and there is no {path}", file=given)
    if options.parameter_file is None:
        raise UsageError("give -paramFN or -dataFN")
    path = folder / UserFile(options.parameter_file).archive_name(number)
    if not path.exists():
        raise ArchiveError("is missing; run with -convertFiles 1, or name the archive with -dataFN", file=path)
    return path


def _folder(options: Options, number: int) -> Path:
    return options.result_folder / f"LayerNr_{number}"


class _LayerRun:
    """One layer: its folder, its archive, and what the stages hand to each other."""

    def __init__(self, options: Options, number: int, comm: Communicator):
        self.options, self.number, self.comm = options, number, comm
        self.threads = options.threads
        self.folder = _folder(options, number)
        self.user_file = UserFile(options.parameter_file) if options.parameter_file else None
        self.seconds: dict[str, float] = {}
        #: tables in memory, for the consolidated file
        self.tables: dict[str, Any] = {}

    def run(self) -> FinishedLayer:
        if self.comm.rank == 0:
            self.prepare()
        self.comm.barrier()
        archive = self.comm.broadcast(self.archive() if self.comm.rank == 0 else None)
        layer = Layer(self.folder, archive, f"{self.folder}/")
        with Archive(archive) as opened:
            parameters = opened.parameters
        outcome = FinishedLayer(self.number, layer, seconds=self.seconds)
        hkls = self.serial("hkls", lambda: _stage("hkls").run(layer, parameters))
        if self.options.peak_search:
            self.search(layer, parameters, hkls)
        if self.options.peak_search_only:
            return outcome
        spots = self.spots(layer, parameters, hkls)
        found = self.grains(layer, parameters, spots, hkls)
        if self.comm.rank == 0:
            with self.step("consolidation"):
                self.consolidate(layer, parameters)
            outcome.grains, outcome.spot_matrix = found["grains"], found["spot_matrix"]
        return outcome

    # Folder and archive

    def prepare(self) -> None:
        """The layer folder; results of an earlier run must not look like those of a run that failed."""
        layer = Layer(self.folder)
        for folder in (layer.logs, layer.output, layer.temp, layer.results):
            make_folder(folder)
        link = self.folder / "output"
        if not link.exists() and not link.is_symlink():  # on a case-insensitive file system it is Output/
            try:
                link.symlink_to(layer.logs.name)
            except OSError as error:
                log.warning("%s: no link to %s (%s)", link, layer.logs.name, error.strerror)
        remove(layer.grains, layer.spot_matrix, layer.grain_ids_key, *self.folder.glob("*_consolidated.h5"))
        if self.user_file is None:
            return
        changes = self.user_file.settings(self.options.raw_folder, self.options.grains_file)
        write_atomic(self.folder / self.user_file.path.name, self.user_file.with_settings(changes))
        self.user_file.copy_panel_shifts(self.folder)

    def archive(self) -> Path:
        """Convert the raw scan, or take the archive that is there; either way it names the layer's folder."""
        path = self.converted_archive() if self.options.convert else self.copied_archive()
        if self.user_file is not None and not self.options.convert:
            with Archive(path) as archive:
                differing = self.user_file.differences(archive.parameters)
            if differing:
                names = ", ".join(differing)
                log.warning("%s: other values than in %s, which count: %s", self.user_file.path, path.name, names)
        set_dataset(path, ANALYSIS + "ResultFolder", np.array([os.fsencode(f"{self.folder}/")]))
        return path

    def converted_archive(self) -> Path:
        from midas.convert import conversion

        assert self.user_file is not None
        name, original = self.user_file.path.name, self.user_file.path

        def convert() -> StageResult:
            result = conversion.run(
                self.folder / name,
                self.folder,
                data_file=self.options.data_file,
                frame_chunks=self.options.frame_chunks,
                threshold=self.options.threshold,
                layer=self.number,
                threads=self.threads,
                relative_to=original.parent,
            )
            result.summary["OutputZipName"] = result.data
            return result

        path = self.stage("ZipOut", convert).data
        log.info("[ZIP] OutputZipName: %s", path)
        return path

    def copied_archive(self) -> Path:
        """The existing archive, in the layer folder; the user's own stays as it is."""
        given = _existing_archive(self.options, self.number)
        path = self.folder / given.name
        if path == given:
            log.info("Using %s", path)
            return path
        with Archive(given):  # an unreadable archive is not worth a copy
            log.info("Copying %s into %s", given, self.folder)
        with atomic_output(path) as target, open(given, "rb") as source:
            shutil.copyfileobj(source, target, 1 << 24)
        return path

    # Reflections, peaks, spots

    def search(self, layer: Layer, parameters: Parameters, hkls: Any) -> None:
        self.tables["peaks"] = self.shared("peaksearch", lambda: _stage("peaks").run(
            layer, parameters, threads=self.threads, comm=self.comm, hkls=hkls
        ))  # fmt: skip

    def merged(self, layer: Layer, parameters: Parameters) -> tuple[Table | None, Table | None]:
        peaks = self.tables.pop("peaks", None)
        tables = self.serial("merge_overlaps", lambda: _stage("merge").run(
            layer, parameters, threads=self.threads, peaks=peaks
        ))  # fmt: skip
        if peaks is not None:  # without their pixels, which take more memory than anything that follows
            self.tables["peaks"] = [table for table, _ in peaks]
        return tables or (None, None)

    def spots(self, layer: Layer, parameters: Parameters, hkls: Any) -> tuple[Any, Any, Any]:
        """Peaks to spots: the tables of the setup, and those of Spots.bin and ExtraInfo.bin."""
        merged, merge_map = self.merged(layer, parameters)
        sizes = self.serial("calc_radius", lambda: _stage("radius").run(
            layer, parameters, threads=self.threads, hkls=hkls, merged=merged
        ))  # fmt: skip
        setup = self.serial("fit_setup", lambda: _stage("fit_setup").run(
            layer, parameters, threads=self.threads, hkls=hkls, radius=sizes
        ))  # fmt: skip
        if setup is not None:
            self.tables |= {"merged": merged, "merge_map": merge_map, "radius": sizes, "hkls": hkls}
            self.tables |= {name: getattr(setup, name) for name in ("extra_info", "id_rings", "ids_hash")}
            self.append_to_paramstest(layer, parameters)
            if not (len(setup.spots_to_index) or self.options.grains_file):
                raise StageError(_NO_SEEDS)
        self.comm.barrier()
        binned = self.serial("binning", lambda: _stage("binning").run(
            layer, self.paramstest(layer), threads=self.threads, spots=setup
        ))  # fmt: skip
        return setup, *(binned or (None, None))

    def append_to_paramstest(self, layer: Layer, parameters: Parameters) -> None:
        """Lines that the setup stage does not hand on: guided indexing, rings without a say."""
        lines = []
        if self.options.grains_file is not None:
            lines.append(f"GrainsFile {self.options.grains_file}")
        if self.user_file is not None:
            lines += self.user_file.lines("RingsToExcludeFraction")
        else:
            lines += [f"RingsToExcludeFraction {ring}" for ring in parameters["RingsToExcludeFraction"]]
        if lines:
            text = read_bytes(layer.paramstest)
            write_atomic(layer.paramstest, text + os.fsencode("".join(f"{line}\n" for line in lines)))

    def paramstest(self, layer: Layer) -> Parameters:
        return Parameters.read(layer.paramstest, "paramstest")

    # Orientations, grains, results

    def grains(self, layer: Layer, parameters: Parameters, spots: tuple[Any, Any, Any], hkls: Any) -> Any:
        setup, spot_table, extra_table = spots
        tracking = self.options.grains_file is not None
        # A guided run makes its seeds itself.
        seeds = setup.spots_to_index if setup is not None and not tracking else None
        p = self.paramstest(layer)
        indexed = self.shared("indexing", lambda: _stage("indexing").run(
            layer, p, threads=self.threads, comm=self.comm, seeds=seeds, spots=spot_table, hkls=hkls
        ))  # fmt: skip
        refined = self.shared("refining", lambda: _stage("refinement").run(
            layer, p, threads=self.threads, comm=self.comm, seeds=seeds, indexed=indexed, extra_info=extra_table,
            hkls=hkls,
        ))  # fmt: skip
        found = self.serial("process_grains", lambda: _stage("grains").run(
            layer, parameters, threads=self.threads, track=tracking, refined=refined, hkls=hkls,
            extra_info=None if setup is None else setup.extra_info, ids_hash=None if setup is None else setup.ids_hash,
        ))  # fmt: skip
        if setup is not None:
            self.tables |= found
            if seeds is not None:
                self.tables["spots_to_index"] = seeds
        return found

    def consolidate(self, layer: Layer, parameters: Parameters) -> None:
        from midas.results import consolidated, provenance

        tables = {"parameters": parameters, **self.tables}
        consolidated.write(layer, per_spot_groups=self.options.per_spot_groups, tables=tables)
        provenance.append(layer, tables=tables)
        if self.options.report:
            from midas.results import report

            report.write(layer)

    # How a step runs

    def serial(self, name: str, work: Callable[[], StageResult]) -> Any:
        """A stage that one process does; its data there, None on the other ranks, which read its files."""
        data = self.stage(name, work).data if self.comm.rank == 0 else None
        self.comm.barrier()
        return data

    def shared(self, name: str, work: Callable[[], StageResult]) -> Any:
        """A stage whose work is shared over the ranks; its data only when this process has all of it."""
        result = self.stage(name, work)
        self.comm.barrier()
        return result.data if self.comm.size == 1 else None

    def stage(self, name: str, work: Callable[[], StageResult]) -> StageResult:
        """A stage with its messages in midas_log/, as the legacy driver kept its programs' output."""
        block = f"{self.comm.rank}" if name in _SHARED else ""
        folder = self.folder / "midas_log"
        out, errors = folder / f"{name}_out{block}.csv", folder / f"{name}_err{block}.csv"
        if name == "ZipOut":
            out, errors = folder / "ZipOut.txt", folder / "ZipErr.txt"
        write_atomic(errors, b"")
        try:
            with self.step(name), logs.file(out):
                result = work()
                for label, value in result.summary.items():
                    logging.getLogger("midas.stages").info("%s: %s", label, value)
        except MidasError as error:
            write_atomic(errors, f"{error}\n".encode("utf-8", "surrogateescape"))
            raise
        return result

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a step, and says in its errors which one it was."""
        started = time.perf_counter()
        try:
            yield
        except MidasError as error:
            raise StageError(f"{_FAILURES[name]}: {error}") from None
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise StageError(f"{_FAILURES[name]}: {place}{error.strerror or error}") from None
        except MemoryError:
            raise StageError(f"{_FAILURES[name]}: not enough memory") from None
        self.seconds[name] = time.perf_counter() - started
        if self.comm.rank == 0:
            log.info("%s: %.2f s", name, self.seconds[name])


def _stage(name: str) -> Any:
    """The module of a stage; imported when it runs, so that a wrong input is reported at once."""
    from importlib import import_module

    return import_module(f"midas.stages.{name}")
