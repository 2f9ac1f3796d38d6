"""What the user asks of tracking: the options of ``ff-track``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from midas.runtime.options import NUMBER, NUMBERS, PATH, WHOLE, option


@dataclass(frozen=True)
class TrackOptions:
    """A series of steps, and where its tracks go."""

    layers: tuple[Path, ...] = ()
    result_folder: Path = option(
        "-resultFolder", PATH, Path(), "folder of Tracks.csv, Tracks.h5, Tracks.html; by default the current one"
    )
    space_group: int | None = option("-spaceGroup", WHOLE, None, "1 to 230; by default from the grain lists")
    lattice: tuple[float, ...] | None = option(
        "-lattice", NUMBERS, None, "unstrained cell a b c alpha beta gamma; by default from the first list", count=6
    )
    max_rotation: float = option(
        "-maxRotation", NUMBER, 10.0, "largest rotation of the sample from step to step, degrees"
    )
    beam_thickness: float = option(
        "-beamThickness", NUMBER, 0.0, "distance of one list to the next along z, µm, when the steps are layers"
    )

    @property
    def table(self) -> Path:
        return self.result_folder / "Tracks.csv"

    @property
    def store(self) -> Path:
        return self.result_folder / "Tracks.h5"

    @property
    def page(self) -> Path:
        return self.result_folder / "Tracks.html"
