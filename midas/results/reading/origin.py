"""What a place where results are stored must tell: a layer folder, a consolidated HDF5 file, a lone grain list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.formats.layer import Layer
from midas.formats.paramstest import Plain
from midas.formats.run_record import RunRecord
from midas.formats.table import Table
from midas.results.tables.joins import SpotLinks
from midas.runtime.errors import FormatError


class Origin(ABC):
    """The tables of a layer, each read when it is asked for; None where there is none of that name.

    Parameters
    ----------
    path : what the user named
    folder : the folder of the layer, or of the file
    """

    layer: Layer | None = None
    archive: Path | None = None

    def __init__(self, path: Path, folder: Path):
        self.path, self.folder = path, folder

    @property
    @abstractmethod
    def grains(self) -> Table:
        """``Grains.csv``."""

    @property
    @abstractmethod
    def crystal(self) -> tuple[int, tuple[float, ...]]:
        """Space group and unstrained cell."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Plain]:
        """What ``paramstest.txt`` holds."""

    @property
    @abstractmethod
    def spot_matrix(self) -> Table:
        """The spots of the grains; a `FormatError` where there are none."""

    @property
    @abstractmethod
    def radius(self) -> Table | None:
        """The spots on rings with their sizes."""

    @property
    @abstractmethod
    def id_rings(self) -> Table | None:
        """Radius id of each spot id."""

    @property
    @abstractmethod
    def extra_info(self) -> Table | None:
        """All spots."""

    @property
    @abstractmethod
    def merged(self) -> Table | None:
        """The merged spots."""

    @property
    @abstractmethod
    def merge_map(self) -> Table | None:
        """The peaks of each merged spot."""

    @property
    @abstractmethod
    def peaks(self) -> Table | None:
        """The peaks of all frames; columns `midas.results.tables.sources.PEAK_NAMES`."""

    @property
    @abstractmethod
    def sigma(self) -> Table | None:
        """``GrainsSigma.csv``."""

    @property
    @abstractmethod
    def covariance(self) -> NDArray[np.float64] | None:
        """(n, 12, 12) of the numbers of each grain."""

    @property
    @abstractmethod
    def quality(self) -> Table | None:
        """``GrainQuality.csv``."""

    @property
    @abstractmethod
    def owners(self) -> Table | None:
        """``SpotOwners.csv``."""

    @property
    @abstractmethod
    def record(self) -> RunRecord | None:
        """How the results came about."""

    @abstractmethod
    def spot_starts(self) -> NDArray[np.int64]:
        """(n + 1,) int64, the rows of `spot_matrix` of grain k are ``[k] : [k + 1]``."""

    @cached_property
    def radius_row(self) -> NDArray[np.int64]:
        """Row of the radius table of spot id i, at [i]; -1 where there is none."""
        if self.id_rings is None or self.radius is None:
            return np.full(1, -1, np.int64)
        spot, radius = self.id_rings.integers("spot_id"), self.id_rings.integers("radius_id")
        count = len(self.radius)
        limit = max(10 * count, len(spot)) + 1000 if self.extra_info is None else len(self.extra_info)
        if ((spot < 1) | (spot > limit) | (radius < 1) | (radius > count)).any():
            reason = "names ids beyond the spots or radius rows of this layer; run ff-setup again"
            raise FormatError(reason, file=self.path, key="id_rings")
        rows = np.full(int(spot.max(initial=0)) + 1, -1, np.int64)
        rows[spot] = radius - 1
        return rows

    @cached_property
    def links(self) -> SpotLinks | None:
        """The way from spots to their peaks; None without a merge map."""
        if self.merge_map is None:
            return None
        merged_ids = np.full(len(self.radius_row), -1, np.int64)
        if self.merged is not None and len(self.merged) and self.radius is not None:
            rows = merged_rows(self.radius, self.merged)
            known = self.radius_row >= 0
            of_spot = rows[self.radius_row[known]]
            merged_ids[known] = np.where(of_spot >= 0, self.merged.integers("spot_id")[of_spot], -1)
        return SpotLinks.joined(self.radius_row, merged_ids, self.merge_map, self.peaks)


#: columns that the radius table repeats from the merged spots, digit by digit
_REPEATED = tuple("intensity omega_recorded y_recorded z_recorded i_max min_omega max_omega pixels".split())
_MIXER = np.uint64(0x9E3779B97F4A7C15)


def merged_rows(radius: Table, merged: Table) -> NDArray[np.int64]:
    """The merged spot that each row of the radius table is, known by the numbers that both files hold.

    This needs no parameters, which a lone HDF5 file does not hold, and agrees with the ring test of
    `midas.experiment.rings.rings_of_merged`.

    Returns
    -------
    (len(radius),) int64 rows of `merged`, the first one of several equal ones; -1 where none has the same numbers
    """
    if not len(merged):
        return np.full(len(radius), -1, np.int64)
    have, wanted = _fingerprints(merged), _fingerprints(radius)
    order = np.argsort(have, kind="stable")
    place = np.minimum(np.searchsorted(have[order], wanted), len(order) - 1)
    rows: NDArray[np.int64] = np.where(have[order[place]] == wanted, order[place], -1)
    return rows


def _fingerprints(table: Table) -> NDArray[np.uint64]:
    """A number of each row that tells it from the others: of 64 bits, all of which depend on all bits of the row."""
    prints = np.zeros(len(table), np.uint64)
    for name in _REPEATED:
        prints ^= (table[name] + 0.0).view(np.uint64)  # + 0.0: there is a -0.0
        prints *= _MIXER
        prints ^= prints >> np.uint64(29)
    return prints
