"""From raw files of any format to the image of a powder (docs/theory/calibration.md#the-image)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.full_scale import FULL_SCALES
from midas.archive import FLOOD, MASK, Pixel
from midas.calibration.powder.image import PowderImage
from midas.convert.dark import Dark, find_dark
from midas.convert.flood import read_flood
from midas.convert.mask import read_mask
from midas.convert.readers import RAW, format_of, open_source
from midas.convert.readers.existing import ArchivedFrames
from midas.convert.source import FrameSource, Reading, made
from midas.convert.sweep import raw_files
from midas.experiment.image import raw_numbers
from midas.parameters import Parameters
from midas.runtime.errors import FormatError
from midas.runtime.files import located

log = logging.getLogger(__name__)

#: type of raw pixels by the number that DataType has
_TYPES = {1: "u2", 2: "f8", 3: "f4", 4: "u4", 5: "i4"}
#: a mask of more than this share of the pixels is the wrong way round
_MOST_MASKED = 0.6
#: keys that name masks
_MASKS = ("MaskFN", "GapFile", "BadPxFile")
#: whole pixels of so many bytes mark gaps with their largest value, which no counter reaches
_WIDE = 4


@dataclass
class _Sum:
    """What the frames of a file add up to, in raw orientation.

    Parameters
    ----------
    counts : (rows, columns)
    frames : how many
    marked : (rows, columns) bool, pixels that any frame marks as measuring nothing
    largest : (rows, columns), of each pixel over the frames
    """

    counts: NDArray[np.float64]
    frames: int
    marked: NDArray[np.bool_]
    largest: NDArray[np.float64]


def numbered_files(parameters: Parameters, folder: Path) -> list[Path]:
    """The images that a parameter file names: `Folder`/`FileStem`_`StartNr`...`EndNr``Ext`.

    Parameters
    ----------
    folder : where a relative `Folder` is looked for, after the current one
    """
    p = parameters
    first = p["StartNr"]
    last = p.get("EndNr", first)
    if last < first:
        raise p.error("EndNr", f"must not be smaller than StartNr, {first}")
    there = located(p["Folder"], folder) if "Folder" in p else folder
    return [there / f"{p['FileStem']}_{number:0{p['Padding']}d}{p['Ext']}" for number in range(first, last + 1)]


def read_image(path: Path, parameters: Parameters, folder: Path, links: bool = False) -> PowderImage:
    """The image in one file: its frames summed, the mean dark subtracted, in the orientation that all stages work in.

    Parameters
    ----------
    path : a file of any raw format, an archive, or a folder or pattern of images that are summed
    parameters : of the stage "calibrate"
    folder : where relative paths of the parameters are looked for, after the current one
    links : whether HDF5 files may lead to others anywhere

    Raises
    ------
    FormatError : missing, of another size than the parameters say, or without frames
    """
    reading = replace(_reading(parameters, path), links=links)
    sources = [open_source(file, reading, announce=i == 0) for i, file in enumerate(raw_files(path, 1))]
    first = sources[0]
    shape = (first.shape[1], first.shape[2])
    _check_size(first, parameters)
    dark = _dark(parameters, reading, first, folder)
    marks = [parameters[key] for key in ("GapIntensity", "BadPxIntensity") if key in parameters]
    total = _summed(sources, parameters["SkipFrame"], marks)
    masked = total.marked | _masks(parameters, sources, shape, folder)
    if dark is not None:
        masked |= np.isin(dark, marks)
    full = _full_scale(parameters, total, masked, first.dtype)
    counts = total.counts - (0 if dark is None else total.frames * dark)
    if (flood := _flood(parameters, first, reading, folder)) is not None:
        masked |= ~np.isfinite(flood) | (flood == 0)
        counts = counts / np.where(masked, 1.0, flood)
    scale = total.frames * full
    saturated = ~masked & (total.largest >= full) if np.isfinite(full) else np.zeros(shape, bool)
    counts[saturated] = np.nextafter(scale, np.inf)
    log.info(
        "%s: %d x %d pixels, frames %d, masked %.1f %%, saturated %d",
        *(path, *shape, total.frames, 100 * masked.mean(), np.count_nonzero(saturated)),
    )
    return _turned(counts, masked, parameters["ImTransOpt"], total.frames, scale)


def _turned(
    counts: NDArray[np.float64], masked: NDArray[np.bool_], operations: Sequence[int], frames: int, full_scale: float
) -> PowderImage:
    numbers = np.ascontiguousarray(raw_numbers(counts.shape, operations).T)  # [y, z] there, row z here
    beside = numbers < 0
    square = np.where(beside, 0.0, np.where(masked, 0.0, counts).ravel()[numbers])
    masked = beside | masked.ravel()[numbers]
    return PowderImage(square, masked, frames, full_scale, counts.shape, tuple(operations))


def _reading(p: Parameters, path: Path) -> Reading:
    """How raw files are read; the size of a square or other detector is that of the parameters."""
    side = p.get("NrPixels") or 2048
    rows, columns = p.get("NrPixelsZ") or side, p.get("NrPixelsY") or side
    name = _TYPES.get(p.get("DataType") or 0) or p.get("RawPixelType") or ("u4" if p.get("PixelValue") == 4 else "u2")
    pixel: np.dtype[Pixel] = np.dtype(name if name.startswith(">") else f"<{name}")
    choice = {"scan": p["ScanNumber"], "channel": p["ThresholdChannel"]}
    return Reading(p["dataLoc"], p["HeadSize"], pixel, rows, columns, path.parent, **choice)


def _check_size(source: FrameSource, p: Parameters) -> None:
    """The image is as large as the parameters say, where both tell."""
    if format_of(source.path) is RAW:
        return
    _, rows, columns = source.shape
    side = p.get("NrPixels")
    said = (p.get("NrPixelsZ") or side or rows, p.get("NrPixelsY") or side or columns)
    if said == (rows, columns):
        return
    reason = f"image {rows} x {columns} (rows x columns), NrPixelsZ/Y say {said[0]} x {said[1]}"
    raise FormatError(f"{reason}{': swapped?' if said == (columns, rows) else ''}", file=source.path)


def _dark(p: Parameters, reading: Reading, first: FrameSource, folder: Path) -> NDArray[np.float64] | None:
    """(rows, columns) mean dark; None where there is none."""
    files = [located(name, folder) for name in p["Dark"]]
    found = find_dark(files, replace(reading, location=p["darkLoc"]), first)
    if not found:
        log.info("%s: no dark: zeros are subtracted", first.path)
        return None
    return Dark(found, first, p["SkipFrame"]).mean()


def _summed(sources: Sequence[FrameSource], skipped: int, marks: Sequence[float]) -> _Sum:
    """All frames but the skipped ones, of which each file of several frames has some."""
    shape = sources[0].shape[1:]
    total = _Sum(np.zeros(shape), 0, np.zeros(shape, bool), np.full(shape, -np.inf))
    for source in sources:
        if source.shape[1:] != shape:
            reason = f"has {source.shape[1:]} pixels, the first image has {shape}"
            raise FormatError(reason, file=source.path)
        for frame in source.frames(0 if source.shape[0] == 1 else skipped):
            pixels = made(frame)
            total.marked |= _without_meaning(pixels, marks)
            values = np.where(total.marked, 0.0, pixels)
            total.counts += values
            np.maximum(total.largest, values, out=total.largest)
            total.frames += 1
    if not total.frames:
        raise FormatError(f"has no frame after the {skipped} that SkipFrame leaves out", file=sources[0].path)
    return total


def _without_meaning(pixels: NDArray[Pixel], marks: Sequence[float]) -> NDArray[np.bool_]:
    """Pixels that measure nothing by their value: marks, no numbers, whole numbers below 0, the top of a wide type."""
    if pixels.dtype.kind == "f":
        found: NDArray[np.bool_] = ~np.isfinite(pixels)
    else:
        found = pixels < 0 if pixels.dtype.kind == "i" else np.zeros(pixels.shape, bool)
        if pixels.dtype.itemsize >= _WIDE:
            found = found | (pixels == np.iinfo(pixels.dtype.name).max)
    for value in marks:
        found = found | (pixels == value)
    return found


def _masks(p: Parameters, sources: Sequence[FrameSource], shape: tuple[int, int], folder: Path) -> NDArray[np.bool_]:
    """What mask files, the detector and an archive say of the pixels."""
    masked = np.zeros(shape, bool)
    for key in _MASKS:
        if not (name := p[key]):
            continue
        one = read_mask(located(name, folder), shape, np.dtype(np.uint8))[0] != 0
        if one.mean() > _MOST_MASKED:
            reason = f"masks {100 * one.mean():.0f} % of the pixels; is 1 = masked? Everything but 0 is masked"
            raise FormatError(reason, file=located(name, folder), key=key)
        masked |= one
    for source in sources:
        own = source.masked()
        masked |= np.zeros(shape, bool) if own is None else own
    if isinstance(sources[0], ArchivedFrames) and (kept := sources[0].extra(MASK)) is not None:
        masked |= np.asarray(kept)[0, : shape[0], : shape[1]] != 0
    return masked


def _flood(p: Parameters, first: FrameSource, reading: Reading, folder: Path) -> NDArray[np.float64] | None:
    """(rows, columns) divisor of the counts; None if there is none."""
    if name := p["FloodFN"]:
        read = read_flood(located(name, folder), (first.shape[1], first.shape[2]), reading)
        return np.asarray(read[0], np.float64)
    if isinstance(first, ArchivedFrames) and (kept := first.extra(FLOOD)) is not None:
        plane: NDArray[np.float64] = np.asarray(kept, np.float64)[0, : first.shape[1], : first.shape[2]]
        return plane
    return None


def _full_scale(p: Parameters, total: _Sum, masked: NDArray[np.bool_], dtype: np.dtype[Pixel]) -> float:
    """Counts of a frame at which a pixel is saturated; infinite where nothing says so."""
    limit: float = p["UpperBoundThreshold"]
    if np.isfinite(limit):
        return float(np.nextafter(limit, np.inf))
    top = float(total.largest[~masked].max()) if (~masked).any() else 0.0
    largest = float(np.iinfo(dtype.name).max) if dtype.kind in "iu" else np.inf
    return top if top >= largest or top in FULL_SCALES else np.inf
