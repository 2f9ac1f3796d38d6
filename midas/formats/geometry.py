"""The geometry that was refined from the grains of a layer, as its consolidated file holds it (docs/formats.md)."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.formats.layer import Layer
from midas.runtime.errors import FormatError


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

    Raises
    ------
    FormatError : for a covariance that is none
    """
    path = layer.consolidated
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            if "geometry" not in file:
                return None
            group = file["geometry"]
            names = tuple(group["names"].asstr()[:].tolist())
            covariance = np.asarray(group["covariance"][()], np.float64)
            trust, z0 = (str(group.attrs.get(key, "-")) for key in ("trust", "z0"))
    except (OSError, KeyError, TypeError, AttributeError) as error:
        reason = f"geometry cannot be read ({str(error).splitlines()[0]}); run ff-geometry again"
        raise FormatError(reason, file=path) from None
    if covariance.shape != (len(names), len(names)) or not np.isfinite(covariance).all():
        raise FormatError(f"geometry/covariance is no covariance of {len(names)} numbers", file=path)
    return RefinedGeometry(names, covariance, trust, z0)
