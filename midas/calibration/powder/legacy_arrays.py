"""The arrays that the legacy driver kept of a calibration, in one HDF5 file (docs/formats.md#calibration)."""

from __future__ import annotations

import io
from collections.abc import Sequence

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from midas.calibration.powder.cake import Cake
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import as_lines, ring_rows, statistics
from midas.experiment.noise import robust_spread

Array = NDArray[np.float64]

#: the background is the median of a square of about 101 px, found on an image of every so many-th pixel
_EVERY, _SQUARE = 8, 13


def arrays(
    passes: Sequence[Calibration], image: PowderImage, caked: Cake, *, threshold: float = 0.0, background: bool = True
) -> bytes:
    """The file.

    Parameters
    ----------
    passes : each round in which rings were left out; the last one is the result
    threshold : above the background, counts; 0 = 100 (1 + floor(sigma / 100))
    background : whether a background is subtracted before
    """
    result = passes[-1]
    level = _background(image) if background else np.zeros(image.counts.shape)
    above = np.where(image.masked, 0.0, image.counts - level)
    limit = threshold or 100.0 * (1 + np.floor(robust_spread(above[~image.masked]) / 100))
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["raw_image_data/image"] = image.counts
        file["raw_image_data/masked"] = image.masked.astype(np.uint8)
        file["background_data/background"] = level
        file["threshold_data/image"] = np.where(above > limit, above, 0.0)
        file["threshold_data/threshold"] = limit
        _write_rings(file.create_group("ring_overlay_data"), result)
        for number, one in enumerate(passes):
            _write_strains(file.create_group(f"strain_tth_data_iter{number}"), one)
        _write_strains(file.create_group("final_strain_data"), result)
        results = file.create_group("results_data")
        for name, numbers in as_lines(result.detector).items():
            results[name] = np.array(numbers)
        found = statistics(result)
        results["MeanStrain"], results["StdStrain"] = found.mean, found.std
        for name in ("counts", "eta", "radius"):
            results[f"cake_{name}"] = getattr(caked, name)
        for name in result.names:
            file[f"parameters/{name}"] = result.value[name]
    return out.getvalue()


def _background(image: PowderImage) -> Array:
    """A median over surroundings much larger than a ring is wide, masked pixels left as they are."""
    counts = image.counts[::_EVERY, ::_EVERY]
    coarse = ndimage.median_filter(counts, _SQUARE, mode="nearest")
    fine = np.repeat(np.repeat(coarse, _EVERY, axis=0), _EVERY, axis=1)
    return np.asarray(fine[: len(image.counts), : len(image.counts)], np.float64)


def _write_rings(group: h5py.Group, result: Calibration) -> None:
    rows = list(ring_rows(result))
    group["two_theta"] = np.array([row.two_theta for row in rows])
    group["ring_number"] = np.array([row.number for row in rows])
    places = [result.detector.ring(row.two_theta) for row in rows]
    group["y_px"], group["z_px"] = np.array([y for y, _ in places]), np.array([z for _, z in places])


def _write_strains(group: h5py.Group, one: Calibration) -> None:
    group["two_theta"] = one.two_theta()
    group["ring_number"] = one.rings.number[one.points.ring]
    group["strain"], group["eta"] = np.abs(one.strain), one.points.eta
