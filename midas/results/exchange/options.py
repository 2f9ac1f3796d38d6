"""What the user asks of an export: the options of ``ff-export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from midas.runtime.errors import UsageError
from midas.runtime.options import NUMBER, NUMBERS, PATH, Kind, option

#: words of -format and what they write
FORMATS = {
    "paraview": ".vtp for ParaView: points with every number and IPF colours",
    "imaged11": ".map, and of a layer .flt and .par, for ImageD11",
    "hexrd": "grains.out for HEXRD",
    "neper": "centroids, radii, orientations and a script for Neper",
    "damask": "material.yaml and a grid of Laguerre cells (.vti) for DAMASK",
    "dream3d": ".csv with a line a grain for DREAM.3D-NX, spreadsheets and pandas",
    "ctf": ".ctf, a slice of Laguerre cells as Oxford Instruments write it",
    "ang": ".ang, the same as EDAX writes it",
    "nexus": ".nxs, HDF5 with names of NeXus",
}
ALL = "all"
_WORDS = Kind(str, lambda words: tuple(words or ()), in_python="")


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, to where, and how finely what needs a grid is cut."""

    formats: tuple[str, ...] = option(
        "-format",
        _WORDS,
        (ALL,),
        f"one or more of: {'; '.join(f'{name} ({text})' for name, text in FORMATS.items())}; {ALL} (default)",
        count="+",
        choices=(*FORMATS, ALL),
    )
    output: Path | None = option(
        "-o",
        PATH,
        None,
        "folder to write into, or for one format that is one file its name; exports in the layer folder",
    )
    voxel: float | None = option(
        "-voxel",
        NUMBER,
        None,
        "edge of the voxels of damask, ctf and ang, µm; by default the longest side is 64 of them",
    )
    box: tuple[float, ...] | None = option(
        "-box",
        NUMBERS,
        None,
        "x0 x1 y0 y1 z0 z1 (µm) of the sample that neper, damask, ctf and ang fill; by default around all grains",
        count=6,
    )
    height: float | None = option(
        "-slice", NUMBER, None, "z (µm) of the slice of ctf and ang; by default the middle of the box"
    )

    def __post_init__(self) -> None:
        if self.voxel is not None and not self.voxel > 0:
            raise UsageError("must be greater than 0", key="-voxel", value=self.voxel)
        if self.box is not None:
            low, high = self.box[0::2], self.box[1::2]
            if len(self.box) != 6 or not all(a < b for a, b in zip(low, high, strict=True)):
                raise UsageError("must be x0 < x1, y0 < y1, z0 < z1", key="-box", value=" ".join(map(str, self.box)))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The formats, each once, in the order of `FORMATS`."""
        return tuple(name for name in FORMATS if name in self.formats or ALL in self.formats)
