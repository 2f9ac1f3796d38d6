"""What every export starts from: grains, their crystal, where they come from, and the layer behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from midas.experiment.orientation import nearest_rotations
from midas.results.exchange.options import ExportOptions
from midas.results.grain_list import GrainList
from midas.results.reading import Results
from midas.runtime.errors import StageError


class NotPossibleError(StageError):
    """An export for which something is missing."""


@dataclass(frozen=True)
class Exported:
    """Grains on their way out.

    Parameters
    ----------
    grains : orientations are rotations to the last digit
    file : that they are read from
    header : comment lines that say where the file comes from
    results : of the layer; None where there is a grain list and no more
    options : of the user
    """

    grains: GrainList
    file: Path
    header: Sequence[str]
    results: Results | None
    options: ExportOptions

    @classmethod
    def of(
        cls, grains: GrainList, file: Path, header: Sequence[str], results: Results | None, options: ExportOptions
    ) -> Exported:
        """The same with exact rotations: printed digits are not orthogonal to the last one."""
        exact = replace(grains, orientations=nearest_rotations(grains.orientations).reshape(-1, 3, 3))
        return cls(exact, file, header, results, options)

    @property
    def cell(self) -> tuple[float, ...]:
        """Of the unstrained crystal, which most formats need."""
        if self.grains.cell is None:
            raise NotPossibleError(
                "tells no unstrained cell (Lattice Parameter), which this export needs", file=self.file
            )
        return self.grains.cell

    @property
    def space_group(self) -> int:
        """Which most formats need."""
        if self.grains.space_group is None:
            raise NotPossibleError("tells no space group, which this export needs", file=self.file)
        return self.grains.space_group

    def some(self) -> GrainList:
        """The grains, if there is one at all."""
        if not len(self.grains):
            raise NotPossibleError("has no grains, of which no cells can be made", file=self.file)
        return self.grains


#: ending to content of the files of one format
Files = Mapping[str, bytes]
