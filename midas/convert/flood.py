"""The flood image of a detector (docs/theory/archive.md#flood)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.convert.frame_headers import NO_MOTOR
from midas.convert.readers import open_source
from midas.convert.source import Reading, made
from midas.runtime.errors import FormatError


def read_flood(path: Path, shape: tuple[int, int], reading: Reading) -> NDArray[np.float64]:
    """The mean of the images of a file, (1, rows, columns), by which the counts above the dark are divided.

    Parameters
    ----------
    path : a file of any raw format
    shape : rows and columns of the raw frames
    """
    source = open_source(path, replace(reading, motor=NO_MOTOR), announce=True)
    if source.shape[1:] != shape:
        reason = f"has {source.shape[1:]} pixels, the frames have {shape} (rows, columns)"
        raise FormatError(reason, file=path, key="FloodFN")
    total = np.zeros(shape)
    count = 0
    for frame in source.frames():
        total += made(frame)
        count += 1
    return (total / count)[np.newaxis]
