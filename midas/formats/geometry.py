"""The geometry that was refined from the grains of a layer, as its consolidated file holds it (docs/formats.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.formats.hdf5_links import attribute, item_at, opened
from midas.formats.hdf5_values import values
from midas.formats.layer import Layer
from midas.runtime.apart import apart
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefinedGeometry:
    """How well the numbers of the instrument are known.

    Parameters
    ----------
    names : of the m numbers that were refined
    covariance : (m, m) float64
    trust, z0 : what fixed the scale and the height of the grains
    """

    names: tuple[str, ...]
    covariance: NDArray[np.float64]
    trust: str
    z0: str

    def of(self, known: tuple[str, ...]) -> RefinedGeometry:
        """The same of the numbers with these names."""
        rows = [row for row, name in enumerate(self.names) if name in known]
        names = tuple(self.names[row] for row in rows)
        return RefinedGeometry(names, self.covariance[np.ix_(rows, rows)], self.trust, self.z0)


def read_geometry(layer: Layer) -> RefinedGeometry | None:
    """The group ``geometry`` of the consolidated file; None where there is no such file or group.

    A file that cannot be read holds none where there is no ``GeometryFit.csv``, which is always written with it.

    Raises
    ------
    FormatError : for a covariance that is none, or that cannot be read
    """
    path = layer.consolidated
    if not path.is_file():
        return None
    try:
        geometry = apart(partial(_geometry_in, path), path)
    except FormatError as error:
        if error.key is None and not layer.geometry_fit.exists():  # the file as a whole
            log.warning("%s; it is written again with all results", error)
            return None
        raise FormatError(f"geometry cannot be read ({error.reason}); run ff-geometry again", file=path) from None
    if geometry is None:
        return None
    count, covariance = len(geometry.names), geometry.covariance
    if covariance.shape != (count, count) or not np.isfinite(covariance).all():
        raise FormatError(f"geometry/covariance is no covariance of {count} numbers", file=path)
    return geometry


def _geometry_in(path: Path) -> RefinedGeometry | None:
    with opened(path) as file:
        group = item_at(file, "geometry")
        if group is None:
            return None
        names, covariance = item_at(group, "names"), item_at(group, "covariance")
        if not isinstance(names, h5py.Dataset) or not isinstance(covariance, h5py.Dataset):
            raise FormatError("names or covariance is missing", file=path, key="geometry")
        words = tuple(name.decode("utf-8", "replace") for name in values(names).ravel().tolist())
        trust, z0 = (attribute(group, key) or "-" for key in ("trust", "z0"))
        return RefinedGeometry(words, np.asarray(values(covariance), np.float64), trust, z0)
