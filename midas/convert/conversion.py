"""From raw frames and a parameter file to a ``.MIDAS.zip`` (docs/theory/archive.md#conversion)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from midas.archive import BRIGHT, DARK, DATA, Archive, ArchiveWriter
from midas.archive.writer import Frame, normalised
from midas.convert import settings
from midas.convert.dark import DarkCorrection
from midas.convert.options import ConversionOptions
from midas.convert.readers.hdf5 import HDF5Frames
from midas.convert.readers.hdf5_metadata import metadata
from midas.convert.scan import RawScan, files_of, settled_parameters
from midas.convert.sweep import Sweep
from midas.formats.layer import Layer
from midas.ledger.recorded import recording, running
from midas.ledger.steps import conversion
from midas.parameters import ANALYSIS, SCAN, Parameters
from midas.runtime import progress
from midas.runtime.files import make_folder
from midas.runtime.result import StageResult
from midas.runtime.room import need_memory

log = logging.getLogger(__name__)


def run(
    options: ConversionOptions, *, threads: int, relative_to: Path | None = None, resume: bool = False
) -> StageResult[Path]:
    """Convert one scan.

    Frames stream through: memory does not grow with the scan. The archive appears under its name when it is complete;
    one that is there already is renamed to ``<name>.old``.

    Parameters
    ----------
    threads : that compress
    relative_to : where relative paths of the parameter file are also looked for, after the current folder (default:
        beside the parameter file)
    resume : replace an archive that is of the same files and parameters, which a run before has left

    Returns
    -------
    StageResult whose `data` is the path of the archive.
    """
    scan = RawScan.opened(options, threads=threads, relative_to=relative_to)
    path = make_folder(options.result_folder) / scan.archive_name
    folder = relative_to or options.parameter_file.absolute().parent
    step = conversion(files_of(options, folder), path)
    with recording(Layer(path.parent, path), step, settled_parameters(options), more={"resume": resume}) as record:
        _write(options, scan, path, threads, keep_old=not running().again)
        count, height, width = scan.sweep.shape
        record({"frames": count})
    log.info("Conversion done: %d frames of %d x %d pixels", count, height, width)
    return StageResult("convert", {"Frames": f"{count} x {height} x {width}, {scan.sweep.dtype.name}"}, path)


def refresh(options: ConversionOptions, path: Path, *, threads: int, relative_to: Path) -> bool:
    """Give an archive the parameters that its conversion would write now; the frames stay as they are coded.

    Parameters
    ----------
    path : of the archive, of the same raw files

    Returns
    -------
    whether it had others
    """
    scan = RawScan.opened(options, threads=threads, relative_to=relative_to)
    with Archive(path) as archive:
        if _same_parameters(archive, scan.parameters):
            return False
    _write(options, scan, path, threads, keep_old=False, frames_of=path)
    return True


def _same_parameters(archive: Archive, parameters: Parameters) -> bool:
    """Whether an archive holds these parameters, and no others but those that the conversion and the driver add."""
    expected = {path: normalised(values) for path, values in parameters.archive_datasets()}
    expected.pop(f"{ANALYSIS}ResultFolder", None)
    present = {path for path in archive.datasets(ANALYSIS.rstrip("/")) if path.removeprefix(ANALYSIS) not in _ADDED}
    if present - set(expected):
        return False
    stored = {path: archive.dataset(path) for path in expected}
    return all((array := stored[path]) is not None and array.holds(values) for path, values in expected.items())


def _write(
    options: ConversionOptions,
    scan: RawScan,
    path: Path,
    threads: int,
    *,
    keep_old: bool,
    frames_of: Path | None = None,
) -> None:
    """Write the archive; `frames_of` is one whose coded frames it takes."""
    sweep, parameters, counted = scan.sweep, scan.parameters, scan.counted
    shape = sweep.shape
    if frames_of is not None:
        with Archive(frames_of) as archive:
            shape = archive.frames.shape
    _, height, width = shape
    need_memory(threads * height * width * sweep.dtype.itemsize, f"the conversion on {threads} threads")
    with ArchiveWriter(path, shape, sweep.dtype, threads=threads, keep_old=keep_old) as writer:
        _write_metadata(writer, sweep, parameters, scan.reading.links)
        if frames_of is not None:
            _copy_frames(writer, frames_of)
        else:
            _write_frames(writer, scan)
            if not counted:  # else the check before the conversion has done that
                _check_frame_count(parameters, sweep.shape[0])
        _write_images(writer, scan)
        if scan.rotation.listed is not None:
            writer.add_dataset(f"{SCAN}omegaCenter", scan.rotation.listed)
        writer.add_parameters(parameters)
        _write_options(writer, parameters, options)


def _copy_frames(writer: ArchiveWriter, source: Path) -> None:
    """Dark and data of another archive, without coding them again."""
    with Archive(source) as archive:
        assert archive.dark is not None  # a conversion has written it
        writer.add_compressed(DARK, archive.dark.shape, archive.chunks(DARK))
        writer.add_copy(DARK, BRIGHT)
        writer.add_compressed(DATA, archive.frames.shape, archive.chunks(DATA))


def _check_frame_count(parameters: Parameters, count: int) -> None:
    end = parameters.get("EndNr")
    if end is not None and end != count:
        log.warning("%s: EndNr is %d, but the scan has %d frames; all are used", parameters.source, end, count)


def _write_metadata(writer: ArchiveWriter, sweep: Sweep, parameters: Parameters, links: bool) -> None:
    """What an HDF5 file says about the scan."""
    first = sweep.sources[0]
    if not isinstance(first, HDF5Frames):
        return
    for name, content in metadata(first.file, settings.scan_values(parameters), links):
        path = name if "/" in name else f"{SCAN}{name}"
        if writer.accepts(path):
            writer.add_group(str(PurePosixPath(path).parent))
            writer.add_dataset(path, content)
        else:
            log.warning("%s: %s is not copied: archives use this name otherwise", first.path, path)


def _write_frames(writer: ArchiveWriter, scan: RawScan) -> None:
    """Dark and data; the dark is subtracted now if there is a threshold, else by the peak search."""
    dark = scan.dark
    threshold = scan.parameters["preProcThresh"]
    frames: Iterator[Frame] = scan.frames()
    if threshold == -1:
        writer.add_frames(DARK, dark.shape, dark.frames())
    else:
        correct = DarkCorrection(dark.mean(), threshold, scan.dtype)
        frames = (partial(correct, frame) for frame in frames)
        writer.add_frames(DARK, dark.shape, dark.zeros())
    writer.add_copy(DARK, BRIGHT)
    with progress.bar(scan.shape[0], "Conversion", "frame") as advance:
        writer.add_frames(DATA, scan.shape, _counted(frames, advance))


def _counted(frames: Iterable[Frame], advance: Callable[[int], object]) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        advance(1)


def _write_images(writer: ArchiveWriter, scan: RawScan) -> None:
    for path, values in scan.images().items():
        writer.add_dataset(path, values)


#: what the conversion and the driver add to the parameters
_ADDED = ("darkFN", "numPxY", "numPxZ", "paramFN", "omegaStep", "ResultFolder")


def _write_options(writer: ArchiveWriter, parameters: Parameters, options: ConversionOptions) -> None:
    """The options under the names of the command line, as far as the parameters have not written them."""
    width, height = settings.detector_size(parameters)
    recorded: dict[str, NDArray[np.generic]] = {
        "darkFN": np.array([os.fsencode("\n".join(parameters["Dark"]))]),
        "numPxY": np.array([width], "<i8"),
        "numPxZ": np.array([height], "<i8"),
        "paramFN": np.array([os.fsencode(options.parameter_file)]),
        "omegaStep": np.array([options.omega_step], "<f8"),
    }
    for name, values in recorded.items():
        if writer.accepts(ANALYSIS + name):
            writer.add_dataset(ANALYSIS + name, values)
