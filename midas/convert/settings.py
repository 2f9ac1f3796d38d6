"""What the parameters and the options of a conversion mean together, checked (docs/theory/archive.md#conversion)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np

from midas.archive import Pixel
from midas.convert.options import ConversionOptions
from midas.convert.source import Reading
from midas.parameters import Parameters
from midas.runtime.errors import ParameterError

log = logging.getLogger(__name__)

_RESERVED_KEYS = ("start", "step", "datatype", "omegaCenter", "YCen", "ZCen")
_HEADER = 8192
#: HDF5 values that go into the scan group, and where detector software puts them; `<name>DatasetPath` overrides it
_SCAN_VALUES = {name: f"/measurement/instrument/GSAS2_PVS/{name}" for name in ("Pressure", "Temperature", "I", "I0")}


def settled(parameters: Parameters, options: ConversionOptions) -> Parameters:
    """The parameters with the options, and with what follows from them, checked."""
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
    width, height = detector_size(p)
    frame_bytes = _pixel_type(p).itemsize * width * height
    if skipped == 0 and (skipped := max(0, (p["HeadSize"] - _HEADER) // frame_bytes)):
        log.info("HeadSize %d means %d frames to skip", p["HeadSize"], skipped)
        p = p.changed(HeadSize=_HEADER)
    return p.changed(SkipFrame=skipped)


def detector_size(p: Parameters) -> tuple[int, int]:
    """Columns and rows as the parameters say; only raw formats without sizes of their own need them."""
    side = p.get("NrPixels") or 2048
    width, height = p.get("NrPixelsY") or side, p.get("NrPixelsZ") or side
    for name, size in (("NrPixelsY", width), ("NrPixelsZ", height)):
        if size < 1:
            raise p.error(name, "must be at least 1")
    return width, height


def _pixel_type(p: Parameters) -> np.dtype[Pixel]:
    """Type of the pixels of a raw format that does not tell it."""
    name = p.get("RawPixelType") or ("u4" if p.get("PixelValue") == 4 else "u2")
    pixel: np.dtype[Pixel] = np.dtype(name if name.startswith(">") else f"<{name}")
    return pixel


def scan_values(p: Parameters) -> dict[str, str]:
    """Values of the scan group, and where they are in an HDF5 file."""
    named = {name: " ".join(p.unknown.get(f"{name}DatasetPath", ())) or at for name, at in _SCAN_VALUES.items()}
    return {"startOmeOverride": "startOmeOverride", **named}


def reading_of(p: Parameters, scratch: Path | None, links: bool = False) -> Reading:
    """What the parameters say about the raw files; `links` as of `Reading`."""
    width, height = detector_size(p)
    named = {"motor": p["OmegaMotor"], "omega_location": p["omegaLoc"]}
    choice = {"scan": p["ScanNumber"], "channel": p["ThresholdChannel"]}
    return Reading(p["dataLoc"], p["HeadSize"], _pixel_type(p), height, width, scratch, **named, **choice, links=links)
