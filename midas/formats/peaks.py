"""Peaks of one frame: ``_PS.csv`` (one row a peak) and ``_PX.bin`` (its pixels) (docs/theory/peaks.md#peak-table)."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.pixels import decode_pixels, encode_pixels
from midas.formats.table import Layout, fixed, integer
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes, write_atomic

LAYOUT = Layout(
    header="\t".join(
        "SpotID IntegratedIntensity Omega(degrees) YCen(px) ZCen(px) IMax Radius(px) Eta(degrees) SigmaR SigmaEta "
        "NrPixels TotalNrPixelsInPeakRegion nPeaks maxY maxZ diffY diffZ rawIMax returnCode retVal BG "
        "SigmaGR SigmaLR SigmaGEta SigmaLEta MU RawSumIntensity".split()
    ),
    columns=(
        integer("peak_id"),
        *fixed("intensity omega_recorded y_recorded z_recorded i_max radius eta sigma_r sigma_eta"),
        *map(integer, "pixels region_pixels region_peaks max_y max_z".split()),
        *fixed("diff_y diff_z raw_i_max"),
        integer("return_code"),
        *fixed("residual background sigma_gauss_r sigma_lorentz_r sigma_gauss_eta sigma_lorentz_eta mixing raw_sum"),
    ),
    separator="\t",
    written_by="ff-peaks",
    # The fit of a bad region may leave any number; the merging drops a peak without a finite place and intensity.
    free=tuple(
        "intensity y_recorded z_recorded i_max radius eta sigma_r sigma_eta diff_y diff_z raw_i_max residual "
        "background sigma_gauss_r sigma_lorentz_r sigma_gauss_eta sigma_lorentz_eta mixing raw_sum".split()
    ),
)


@dataclass(frozen=True)
class PixelLists:
    """Pixels of the peaks of one frame, in file order.

    Parameters
    ----------
    size : side of the padded square detector
    offsets : (n + 1,) int64; peak k owns pixels ``offsets[k] : offsets[k + 1]``
    y, z : int16 pixel coordinates, concatenated
    """

    size: int
    offsets: NDArray[np.int64]
    y: NDArray[np.int16]
    z: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def format_pixels(pixels: PixelLists) -> bytes:
    """Content of a ``_PX.bin``."""
    return encode_pixels(pixels.size, pixels.offsets, pixels.y, pixels.z)


def write_pixels(path: str | os.PathLike[str], pixels: PixelLists) -> None:
    """Write a ``_PX.bin``."""
    write_atomic(path, format_pixels(pixels))


def read_pixels(path: str | os.PathLike[str]) -> PixelLists:
    """Read a ``_PX.bin``; `FormatError` when it is cut off or has surplus bytes."""
    size, offsets, y, z, fault = decode_pixels(read_bytes(path, advice="run ff-peaks first"))
    if fault:
        raise FormatError(fault, file=path)
    return PixelLists(size, offsets, y, z)
