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
from midas.convert.dark import Dark, DarkCorrection, find_dark
from midas.convert.mask import read_mask
from midas.convert.options import ConversionOptions
from midas.convert.readers.existing import ArchivedFrames
from midas.convert.readers.hdf5 import HDF5Frames, metadata
from midas.convert.source import Reading
from midas.convert.sweep import Sweep, consecutive, scan_names
from midas.experiment.angles import wrapped
from midas.parameters import ANALYSIS, SCAN, Parameters
from midas.runtime import logs, progress
from midas.runtime.errors import ParameterError
from midas.runtime.files import make_folder
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

#: HDF5 values that go into the scan group, and where detector software puts them; `<name>DatasetPath` overrides it
_SCAN_VALUES = {name: f"/measurement/instrument/GSAS2_PVS/{name}" for name in ("Pressure", "Temperature", "I", "I0")}
_RESERVED_KEYS = ("start", "step", "datatype", "omegaCenter", "YCen", "ZCen")
_OMEGA_TOLERANCE = 1e-6
_HEADER = 8192


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
    with logs.muted("midas.parameters.parser"):  # the check before a conversion says more about repeated keys
        parameters = settled(Parameters.read(options.parameter_file).for_stage("convert"), options)
    locate = partial(_located, folder=relative_to or options.parameter_file.absolute().parent)

    first, name = scan_names(parameters, parameters["LayerNr"])
    paths = consecutive(locate(first), parameters["numFilesPerScan"])
    reading = reading_of(parameters, options.result_folder)
    sweep = Sweep(paths, reading, parameters["SkipFrame"], parameters["numFrameChunks"])
    parameters, omegas = _angles(parameters, sweep)

    path = make_folder(options.result_folder) / name
    with ArchiveWriter(path, sweep.shape, sweep.dtype, threads=threads, keep_old=True) as writer:
        _write_metadata(writer, sweep, parameters)
        _write_frames(writer, sweep, parameters, reading, locate)
        _write_mask(writer, sweep, parameters, locate)
        if omegas is not None:
            writer.add_dataset(f"{SCAN}omegaCenter", omegas)
        writer.add_parameters(parameters)
        _write_options(writer, parameters, options)
    log.info("Conversion done: %d frames of %d x %d pixels", *sweep.shape)
    count, height, width = sweep.shape
    return StageResult("convert", {"Frames": f"{count} x {height} x {width}, {sweep.dtype.name}"}, path)


def settled(parameters: Parameters, options: ConversionOptions) -> Parameters:
    """The parameters of the part "convert" with the options, and with what follows from them, checked."""
    reserved = [name for name in _RESERVED_KEYS if name in parameters.unknown]
    if reserved:
        reason = "is the name of a dataset that the conversion writes; remove the key"
        raise ParameterError(reason, file=parameters.source, key=reserved[0])
    p = parameters.changed(**options.keys())
    if p["numFrameChunks"] < 1 and p["numFrameChunks"] != -1:
        raise p.error("numFrameChunks", "must be at least 1, or -1 for as many as is good")
    files = p["numFilesPerScan"] if p["numFilesPerScan"] != 1 else p["NrFilesPerSweep"]
    for name, value in (("numFilesPerScan", files), ("LayerNr", p["LayerNr"])):
        if value < 1:
            raise p.changed(**{name: value}).error(name, "must be at least 1")
    if p["preProcThresh"] < -1:
        log.warning("%s: preProcThresh %s is below 0; 0 is used", p.source, p["preProcThresh"])
        p = p.changed(preProcThresh=0)
    if "ResultFolder" in p:
        log.warning("%s: ResultFolder %s is recorded, not -resultFolder", p.source, p["ResultFolder"])
    else:
        p = p.changed(ResultFolder=os.fspath(options.result_folder))
    recorded = ("dataFN", "dataLoc", "darkLoc", "numFrameChunks", "preProcThresh", "LayerNr", "NrFilesPerSweep")
    return _with_header(p.changed(numFilesPerScan=files, **{name: p[name] for name in recorded}))


def _with_header(p: Parameters) -> Parameters:
    """Leading frames to skip: SkipFrame, else those that HeadSize makes part of the header."""
    skipped = p["SkipFrame"]
    width, height = _detector_size(p)
    frame_bytes = (4 if p.get("PixelValue") == 4 else 2) * width * height
    if skipped == 0 and (skipped := max(0, (p["HeadSize"] - _HEADER) // frame_bytes)):
        log.info("HeadSize %d means %d frames to skip", p["HeadSize"], skipped)
        p = p.changed(HeadSize=_HEADER)
    return p.changed(SkipFrame=skipped)


def _detector_size(p: Parameters) -> tuple[int, int]:
    """Columns and rows as the parameters say; only raw formats without sizes of their own need them."""
    side = p.get("NrPixels") or 2048
    width, height = p.get("NrPixelsY") or side, p.get("NrPixelsZ") or side
    for name, size in (("NrPixelsY", width), ("NrPixelsZ", height)):
        if size < 1:
            raise p.error(name, "must be at least 1")
    return width, height


def reading_of(p: Parameters, scratch: Path) -> Reading:
    """What the parameters say about the raw files."""
    width, height = _detector_size(p)
    pixel = np.dtype("<u4" if p.get("PixelValue") == 4 else "<u2")
    return Reading(p["dataLoc"], p["HeadSize"], pixel, height, width, scratch)


def _located(path: Path, folder: Path) -> Path:
    """A path of the parameter file or command line: as it stands, else relative to `folder`."""
    path = path.expanduser()
    return path if path.is_absolute() or path.exists() else folder / path


def _angles(parameters: Parameters, sweep: Sweep) -> tuple[Parameters, NDArray[np.float64] | None]:
    """The parameters, and the angles of the single frames where start and step do not give those of the raw file.

    The angle of a frame is that at which it begins (docs/theory/conventions.md#omega-of-a-frame). Without OmegaStep the
    file's angles are used.
    """
    omegas = sweep.omegas
    if omegas is None:
        return parameters, None
    numbers = np.arange(len(omegas))
    if "OmegaStep" not in parameters:
        step = float(omegas[1] - omegas[0]) if len(omegas) > 1 else 0.0
        start = float(omegas[0]) + parameters["SkipFrame"] * step
        log.info("%s: OmegaStart %g and OmegaStep %g are those of the raw file", parameters.source, start, step)
        parameters = parameters.changed(OmegaStep=step, OmegaStart=start)
    step = parameters["OmegaStep"]
    expected = parameters.omega_start() + (numbers - parameters["SkipFrame"]) * step
    difference = np.abs(wrapped(omegas - expected))
    worst = int(np.argmax(difference))
    if difference[worst] <= _OMEGA_TOLERANCE:
        return parameters, None
    log.warning(
        "%s: by OmegaStart and OmegaStep frame %d begins at omega %g, by the raw file at %g; the raw file counts",
        parameters.source,
        worst,
        expected[worst],
        omegas[worst],
    )
    return parameters, omegas


def _write_metadata(writer: ArchiveWriter, sweep: Sweep, parameters: Parameters) -> None:
    """What an HDF5 file says about the scan."""
    first = sweep.sources[0]
    if not isinstance(first, HDF5Frames):
        return
    values = {"startOmeOverride": "startOmeOverride"}
    for name, location in _SCAN_VALUES.items():
        values[name] = " ".join(parameters.unknown.get(f"{name}DatasetPath", ())) or location
    for name, content in metadata(first.path, values):
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
    file = parameters.get("Dark", "")
    first = sweep.sources[0]
    reading = replace(reading, location=parameters["darkLoc"])
    source = find_dark(locate(Path(file)) if file else None, reading, first)
    dark = Dark(source, first, parameters["SkipFrame"])
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


def _write_mask(writer: ArchiveWriter, sweep: Sweep, parameters: Parameters, locate: Callable[[Path], Path]) -> None:
    """The mask of the parameter file and of the raw files; mask and flood of an archive that is converted again."""
    extras: dict[str, NDArray[np.generic] | None] = {}
    first = sweep.sources[0]
    if isinstance(first, ArchivedFrames):
        extras = {MASK: first.extra(MASK), FLOOD: first.extra(FLOOD)}
    if name := parameters.get("MaskFN", ""):
        extras[MASK] = read_mask(locate(Path(name)), sweep.shape[1:], sweep.dtype)
    if (masked := sweep.masked()) is not None:
        given = extras.get(MASK)
        extras[MASK] = (
            (masked if given is None else masked | (given != 0)).reshape(1, *masked.shape).astype(sweep.dtype)
        )
    for path, values in extras.items():
        if values is not None:
            writer.add_dataset(path, values)


def _write_options(writer: ArchiveWriter, parameters: Parameters, options: ConversionOptions) -> None:
    """The options under the names of the command line, as far as the parameters have not written them."""
    width, height = _detector_size(parameters)
    recorded: dict[str, NDArray[np.generic]] = {
        "darkFN": np.array([os.fsencode(parameters.get("Dark", ""))]),
        "numPxY": np.array([width], "<i8"),
        "numPxZ": np.array([height], "<i8"),
        "paramFN": np.array([os.fsencode(options.parameter_file)]),
        "omegaStep": np.array([options.omega_step], "<f8"),
    }
    for name, values in recorded.items():
        if writer.accepts(ANALYSIS + name):
            writer.add_dataset(ANALYSIS + name, values)
