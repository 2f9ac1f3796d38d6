"""From raw frames and a parameter file to a ``.MIDAS.zip`` (docs/theory/archive.md#conversion)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from midas.archive import BRIGHT, DARK, DATA, FLOOD, MASK, ArchiveWriter
from midas.archive.writer import Frame
from midas.convert import settings
from midas.convert.angles import reconciled
from midas.convert.dark import Dark, DarkCorrection, find_dark
from midas.convert.flood import read_flood
from midas.convert.mask import read_mask
from midas.convert.options import ConversionOptions
from midas.convert.readers.existing import ArchivedFrames
from midas.convert.readers.hdf5 import HDF5Frames
from midas.convert.readers.hdf5_metadata import metadata
from midas.convert.source import UNKNOWN, Reading
from midas.convert.sweep import Sweep, raw_files, scan_names
from midas.parameters import ANALYSIS, SCAN, Parameters
from midas.runtime import progress
from midas.runtime.files import make_folder
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

#: HDF5 values that go into the scan group, and where detector software puts them; `<name>DatasetPath` overrides it
_SCAN_VALUES = {name: f"/measurement/instrument/GSAS2_PVS/{name}" for name in ("Pressure", "Temperature", "I", "I0")}


def run(options: ConversionOptions, *, threads: int, relative_to: Path | None = None) -> StageResult[Path]:
    """Convert one scan.

    Frames stream through: memory does not grow with the scan. The archive appears under its name when it is complete;
    one that is there already is renamed to ``<name>.old``.

    Parameters
    ----------
    threads : that compress
    relative_to : where relative paths of the parameter file are also looked for, after the current folder (default:
        beside the parameter file)

    Returns
    -------
    StageResult whose `data` is the path of the archive.
    """
    parameters = settings.settled(Parameters.read(options.parameter_file).for_stage("convert"), options)
    locate = partial(settings.located, folder=relative_to or options.parameter_file.absolute().parent)

    first, name = scan_names(parameters, parameters["LayerNr"], any_layer=options.any_layer)
    paths = raw_files(locate(first), parameters["numFilesPerScan"])
    reading = settings.reading_of(parameters, options.result_folder)
    sweep = Sweep(paths, reading, parameters["SkipFrame"], parameters["numFrameChunks"], threads)
    parameters, omegas = reconciled(parameters, sweep.omegas)
    counted = sweep.shape[0] != UNKNOWN
    if counted:
        _check_frame_count(parameters, sweep.shape[0])

    path = make_folder(options.result_folder) / name
    with ArchiveWriter(path, sweep.shape, sweep.dtype, threads=threads, keep_old=True) as writer:
        _write_metadata(writer, sweep, parameters)
        _write_frames(writer, sweep, parameters, reading, locate)
        if not counted:
            _check_frame_count(parameters, sweep.shape[0])
        _write_images(writer, sweep, parameters, reading, locate)
        if omegas is not None:
            writer.add_dataset(f"{SCAN}omegaCenter", omegas)
        writer.add_parameters(parameters)
        _write_options(writer, parameters, options)
    log.info("Conversion done: %d frames of %d x %d pixels", *sweep.shape)
    count, height, width = sweep.shape
    return StageResult("convert", {"Frames": f"{count} x {height} x {width}, {sweep.dtype.name}"}, path)


def _check_frame_count(parameters: Parameters, count: int) -> None:
    end = parameters.get("EndNr")
    if end is not None and end != count:
        log.warning("%s: EndNr is %d, but the scan has %d frames; all are used", parameters.source, end, count)


def _write_metadata(writer: ArchiveWriter, sweep: Sweep, parameters: Parameters) -> None:
    """What an HDF5 file says about the scan."""
    first = sweep.sources[0]
    if not isinstance(first, HDF5Frames):
        return
    values = {"startOmeOverride": "startOmeOverride"}
    for name, location in _SCAN_VALUES.items():
        values[name] = " ".join(parameters.unknown.get(f"{name}DatasetPath", ())) or location
    for name, content in metadata(first.file, values):
        path = name if "/" in name else f"{SCAN}{name}"
        if writer.accepts(path):
            writer.add_group(str(PurePosixPath(path).parent))
            writer.add_dataset(path, content)
        else:
            log.warning("%s: %s is not copied: archives use this name otherwise", first.path, path)


def _write_frames(
    writer: ArchiveWriter, sweep: Sweep, parameters: Parameters, reading: Reading, locate: Callable[[Path], Path]
) -> None:
    """Dark and data; the dark is subtracted now if there is a threshold, else by the peak search."""
    files = [locate(Path(file)) for file in parameters["Dark"]]
    first = sweep.sources[0]
    reading = replace(reading, location=parameters["darkLoc"])
    dark = Dark(find_dark(files, reading, first), first, parameters["SkipFrame"])
    threshold = parameters["preProcThresh"]
    frames: Iterator[Frame] = sweep.frames()
    if threshold == -1:
        writer.add_frames(DARK, dark.shape, dark.frames())
    else:
        correct = DarkCorrection(dark.mean(), threshold, sweep.dtype)
        frames = (partial(correct, frame) for frame in frames)
        writer.add_frames(DARK, dark.shape, dark.zeros())
    writer.add_copy(DARK, BRIGHT)
    with progress.bar(sweep.shape[0], "Conversion", "frame") as advance:
        writer.add_frames(DATA, sweep.shape, _counted(frames, advance))


def _counted(frames: Iterable[Frame], advance: Callable[[int], object]) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        advance(1)


def _write_images(
    writer: ArchiveWriter, sweep: Sweep, parameters: Parameters, reading: Reading, locate: Callable[[Path], Path]
) -> None:
    """Mask and flood: of the parameter file, of the raw files, of an archive that is converted again."""
    extras: dict[str, NDArray[np.generic] | None] = {}
    first = sweep.sources[0]
    if isinstance(first, ArchivedFrames):
        extras = {MASK: first.extra(MASK), FLOOD: first.extra(FLOOD)}
    if name := parameters.get("MaskFN", ""):
        extras[MASK] = read_mask(locate(Path(name)), sweep.shape[1:], sweep.dtype)
    if name := parameters["FloodFN"]:
        extras[FLOOD] = read_flood(locate(Path(name)), sweep.shape[1:], reading)
    if (masked := sweep.masked()) is not None and masked.any():
        count = np.count_nonzero(masked)
        log.info("%s: %d pixels are masked that the detector marks as gap or bad", first.path, count)
        given = extras.get(MASK)
        extras[MASK] = (
            (masked if given is None else masked | (given != 0)).reshape(1, *masked.shape).astype(sweep.dtype)
        )
    for path, values in extras.items():
        if values is not None:
            writer.add_dataset(path, values)


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
