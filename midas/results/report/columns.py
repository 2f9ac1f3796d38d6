"""The columns of the table of the grains, and the numbers of the panel of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from midas.formats.stress import StressFile
from midas.results.report.packing import packed
from midas.results.report.source import Source
from midas.results.stress.tensors import equivalent_strain, equivalent_stress, traces
from midas.results.tables.sigmas import POSITION_SIGMAS, ROTATION_SIGMAS, together

_COMPONENTS = {"11": (0, 0), "22": (1, 1), "33": (2, 2), "12": (0, 1), "13": (0, 2), "23": (1, 2)}
_CELL = (("a", "Å", 4), ("b", "Å", 4), ("c", "Å", 4), ("alpha", "°", 3), ("beta", "°", 3), ("gamma", "°", 3))


@dataclass(frozen=True)
class Column:
    """A number of every grain.

    Parameters
    ----------
    name : by which it is filtered
    title, unit, help : what it is
    values : (n,)
    digits : behind the point
    shown : whether it is in the table, and not in the panel alone
    of : the column whose uncertainty it is
    """

    name: str
    title: str
    unit: str
    values: ArrayLike
    digits: int
    shown: bool = False
    help: str = ""
    of: str = ""

    def packed(self) -> dict[str, Any]:
        """As the script reads it."""
        whole = self.digits == 0
        values = np.asarray(self.values, np.float64)
        known = np.isfinite(values).all() and np.abs(values).max(initial=0) < 2**31
        data = packed(np.rint(values) if whole and known else values, "i4" if whole and known else "f4")
        out = {"name": self.name, "title": self.title, "unit": self.unit, "digits": self.digits, "data": data}
        more = {"shown": self.shown, "help": self.help, "of": self.of}
        return out | {key: value for key, value in more.items() if value}


def packed_grains(source: Source) -> dict[str, Any]:
    """All columns."""
    return {"n": len(source), "columns": [column.packed() for column in columns_of(source)]}


def columns_of(source: Source) -> Iterator[Column]:
    """Those that the layer has, in the order in which they are shown."""
    grains = source.results.grains
    yield Column("grain", "Grain", "", grains["grain_id"], 0, shown=True, help="identity in the layer")
    for k, axis in enumerate("xyz"):
        yield Column(axis, axis.upper(), "µm", grains["position"][:, k], 1, shown=True, help="centre of mass")
    yield Column("radius", "Radius", "µm", grains["radius"], 1, True, "of the sphere of the grain's volume")
    yield Column("completeness", "Completeness", "", grains["completeness"], 3, True,
                 "part of the expected spots that was found")  # fmt: skip
    yield Column("spots", "Spots", "", source.spot_counts, 0, True, "that belong to the grain")
    yield Column(
        "residual", "Spot residual", "µm", grains["diff_pos"], 2, True,
        "mean distance of the spots from their predictions on the detector; not the error of the position",
    )  # fmt: skip
    yield Column("omega_residual", "Omega residual", "°", grains["diff_ome"], 3, help="mean difference of omega")
    yield Column("angle", "Internal angle", "°", grains["diff_angle"], 3, True,
                 "mean angle between observed and predicted scattering vectors")  # fmt: skip
    yield from _strains(source)
    yield from _stresses(source)
    yield from _orientation(source)
    yield from _quality(source)
    yield from _sigmas(source)


def _strains(source: Source) -> Iterator[Column]:
    strain = source.results.grains["strain"]
    equivalent = equivalent_strain(strain)
    yield Column("strain_vm", "von Mises strain", "10⁻⁶", equivalent, 0, True, "equivalent strain of the tensor")
    for name, (i, j) in _COMPONENTS.items():
        yield Column(f"e{name}", f"Strain {name}", "10⁻⁶", strain[:, i, j], 0, help="sample frame, from the spots")


def _stresses(source: Source) -> Iterator[Column]:
    if source.stress is None:
        return
    stress = source.stress
    yield Column("stress_vm", "von Mises stress", "MPa", equivalent_stress(stress), 1, True)
    yield Column("stress_hydrostatic", "Hydrostatic stress", "MPa", traces(stress) / 3, 1)
    for name, (i, j) in _COMPONENTS.items():
        yield Column(f"s{name}", f"Stress {name}", "MPa", stress[:, i, j], 1, help="sample frame")
    if source.stress_file is not None:
        yield from _of_stress_file(source.stress_file)


#: columns of Stress.csv that may be without numbers: name, column there, title, unit, digits, help, whose uncertainty
_MORE_STRESS = (
    ("shear", "MaxShear", "Resolved shear", "MPa", 1, "largest of all slip systems", ""),
    ("schmid", "Schmid", "Schmid factor", "", 3, "largest, of uniaxial load along -load", ""),
    ("sigma_stress_vm", "sVonMises", "σ von Mises stress", "MPa", 2, "", "stress_vm"),
    ("sigma_stress_hydrostatic", "sHydrostatic", "σ hydrostatic stress", "MPa", 2, "", "stress_hydrostatic"),
    *((f"sigma_s{name}", f"sS{name}", f"σ stress {name}", "MPa", 2, "", f"s{name}") for name in _COMPONENTS),
    ("sigma_shear", "sMaxShear", "σ resolved shear", "MPa", 2, "", "shear"),
)


def _of_stress_file(found: StressFile) -> Iterator[Column]:
    for name, column, title, unit, digits, text, of in _MORE_STRESS:
        values = found.table[column]
        if np.isfinite(values).any():
            yield Column(name, title, unit, values, digits, help=text, of=of)


def _orientation(source: Source) -> Iterator[Column]:
    grains = source.results.grains
    for k, name in enumerate(("phi1", "Phi", "phi2")):
        yield Column(name, f"Euler {name}", "°", grains["euler_angles"][:, k], 3, help="Bunge's angles")
    for k, (name, unit, digits) in enumerate(_CELL):
        yield Column(name, name, unit, grains["cell"][:, k], digits, help="of the strained crystal")


def _quality(source: Source) -> Iterator[Column]:
    quality = source.results.quality
    if quality is None:
        return
    yield Column("unique", "Unique spots", "", quality["nUnique"], 0, help="spots that no other grain claims")
    yield Column("saturated", "Saturated spots", "", quality["nSaturated"], 0)
    yield Column("members", "Seeds", "", quality["nMembers"], 0, help="seeds that gave this grain")


def _sigmas(source: Source) -> Iterator[Column]:
    sigma = source.results.sigma
    if sigma is None:
        return
    position = together(sigma, POSITION_SIGMAS)
    yield Column("sigma", "σ position", "µm", position, 2, True, "uncertainty of the position, all three axes")
    rotation = together(sigma, ROTATION_SIGMAS)
    yield Column("sigma_angle", "σ orientation", "°", rotation, 4)
    yield Column("flag", "Flag", "", sigma["Flag"], 0, True,
                 "0 sound, 1 copy of another, 2 few spots, 3 poor fit, 4 open")  # fmt: skip
    for axis in "xyz":
        yield Column(f"sigma_{axis}", f"σ {axis.upper()}", "µm", sigma[f"s{axis.upper()}"], 2, of=axis)
    for name in _COMPONENTS:
        yield Column(f"sigma_e{name}", f"σ strain {name}", "10⁻⁶", sigma[f"sE{name}"], 0, of=f"e{name}")
    for name, _, digits in _CELL:
        yield Column(f"sigma_{name}", f"σ {name}", "", sigma[f"s{name}"], digits + 1, of=name)
