"""From raw frames and a parameter file to a ``.MIDAS.zip`` (docs/theory/archive.md#conversion)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from midas.archive import BRIGHT, DARK, DATA, ArchiveWriter
from midas.archive.writer import Frame
from midas.convert import settings
from midas.convert.dark import DarkCorrection
from midas.convert.options import ConversionOptions
from midas.convert.readers.hdf5 import HDF5Frames
from midas.convert.readers.hdf5_metadata import metadata
from midas.convert.scan import RawScan
from midas.convert.sweep import Sweep
from midas.parameters import ANALYSIS, SCAN, Parameters
from midas.runtime import progress
from midas.runtime.files import make_folder
from midas.runtime.result import StageResult
from midas.runtime.room import need_memory

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
    scan = RawScan.opened(options, threads=threads, relative_to=relative_to)
    sweep, parameters, counted = scan.sweep, scan.parameters, scan.counted

    path = make_folder(options.result_folder) / scan.archive_name
    _, height, width = sweep.shape
    need_memory(threads * height * width * sweep.dtype.itemsize, f"the conversion on {threads} threads")
    with ArchiveWriter(path, sweep.shape, sweep.dtype, threads=threads, keep_old=True) as writer:
        _write_metadata(writer, sweep, parameters, scan.reading.links)
        _write_frames(writer, scan)
        if not counted:  # else the check before the conversion has done that
            _check_frame_count(parameters, sweep.shape[0])
        _write_images(writer, scan)
        if scan.rotation.listed is not None:
            writer.add_dataset(f"{SCAN}omegaCenter", scan.rotation.listed)
        writer.add_parameters(parameters)
        _write_options(writer, parameters, options)
    log.info("Conversion done: %d frames of %d x %d pixels", *sweep.shape)
    count, height, width = sweep.shape
    return StageResult("convert", {"Frames": f"{count} x {height} x {width}, {sweep.dtype.name}"}, path)


def _check_frame_count(parameters: Parameters, count: int) -> None:
    end = parameters.get("EndNr")
    if end is not None and end != count:
        log.warning("%s: EndNr is %d, but the scan has %d frames; all are used", parameters.source, end, count)


def _write_metadata(writer: ArchiveWriter, sweep: Sweep, parameters: Parameters, links: bool) -> None:
    """What an HDF5 file says about the scan."""
    first = sweep.sources[0]
    if not isinstance(first, HDF5Frames):
        return
    values = {"startOmeOverride": "startOmeOverride"}
    for name, location in _SCAN_VALUES.items():
        values[name] = " ".join(parameters.unknown.get(f"{name}DatasetPath", ())) or location
    for name, content in metadata(first.file, values, links):
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
