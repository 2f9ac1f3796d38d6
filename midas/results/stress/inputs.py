"""The strained grains of a layer as the results hold them (docs/theory/stress.md#uncertainty)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.formats import uncertainty
from midas.formats.grains import FABLE, KENESEI
from midas.results.stress import tensors
from midas.results.stress.grains import StrainedGrains

if TYPE_CHECKING:
    from midas.results.reading import Results

Array = NDArray[np.float64]

#: which column holds the strain, by the word of the option
COLUMNS = {"spots": "strain", "cell": "strain_fable"}
#: what it is called in the files
TITLES = {
    "spots": f"from the spacings of the spots ({KENESEI[0][:-2]})",
    "cell": f"from the cell ({FABLE[0][:-2]})",
}
#: where the strain is among the twelve numbers of a grain
_STRAIN = slice(uncertainty.NUMBERS.index(uncertainty.STRAIN[0]), uncertainty.NUMBERS.index(uncertainty.STRAIN[-1]) + 1)


def grains_of(results: Results, strain: str = "spots") -> StrainedGrains:
    """The grains of a layer with strain and covariance.

    Parameters
    ----------
    strain : "spots" or "cell"
    """
    grains = results.grains
    return StrainedGrains(
        grains["grain_id"].astype(np.int64),
        np.ascontiguousarray(grains["orientation"], np.float64),
        tensors.mandel(grains[COLUMNS[strain]]),
        _covariances(results, grains["grain_id"]),
        np.asarray(grains["radius"], np.float64),
    )


def _covariances(results: Results, ids: NDArray[np.int64]) -> Array:
    """(n, 6, 6) of the strains, Mandel, (1e-6)²: as it is where it is at hand, else of the sigmas alone."""
    scale = np.outer(tensors.FACTORS, tensors.FACTORS)
    if results.covariance is not None:
        whole: Array = results.covariance[:, _STRAIN, _STRAIN] * scale
        return whole
    covariances = np.full((len(ids), 6, 6), np.nan)
    table = results.sigma
    if table is not None:
        row_of = {int(i): row for row, i in enumerate(table.integers("GrainID"))}
        names = [f"s{name}" for name in uncertainty.STRAIN]
        for row, grain in enumerate(ids):
            if (place := row_of.get(int(grain))) is not None:
                sigma = np.array([table[name][place] for name in names])
                if np.isfinite(sigma).all():
                    covariances[row] = np.diag(sigma**2) * scale
    return covariances
