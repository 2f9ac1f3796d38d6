"""What the joint fit moves: the numbers of the instruments and of the grains, and which of them are free.

See docs/theory/geometry_from_grains.md#state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.joint import PARAMETERS
from midas._ext.numerics.elementwise import arctan2, cos, hypot, sin
from midas.experiment.angles import DEG2RAD, RAD2DEG
from midas.experiment.detector import DetectorGeometry
from midas.runtime.errors import UsageError

Array = NDArray[np.float64]

WOBBLE = PARAMETERS[13:]
#: what may be asked for, and what the numbers behind it are called
WORDS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("Lsd", "tx", "ty", "tz", "p0", "p2", "Wedge", "Omega0", "Wavelength", "Panels")},
    "BC": ("BCy", "BCz"),
    "p1": ("p1c", "p1s"),
    "p3": ("p1c", "p1s"),
    "Wobble": WOBBLE,
}
#: what `auto` asks the data about, in the order in which it is added; it is dropped from the end
SETS: tuple[tuple[str, ...], ...] = (
    ("Lsd", "BC"),
    ("ty", "tz"),
    ("tx", "Wedge"),
    ("p0", "p2"),
    ("p1",),
    ("Panels",),
)
#: places among the numbers of an instrument
AT = {name: i for i, name in enumerate(PARAMETERS)}
_PX, _RHO_D, _EXACT_WEDGE = range(len(PARAMETERS), len(PARAMETERS) + 3)
#: unit of each number; a panel's shift is in px
UNITS = {
    **dict.fromkeys(("BCy", "BCz"), "px"),
    **dict.fromkeys(("tx", "ty", "tz", "Wedge", "Omega0"), "deg"),
    **dict.fromkeys(("p0", "p1c", "p1s", "p2"), ""),
    **dict.fromkeys(WOBBLE, "um"),
    "Lsd": "um",
    "Wavelength": "A",
}


def detector_of(numbers: Array, like: DetectorGeometry) -> DetectorGeometry:
    """The geometry of such numbers; p1 is not negative, p3 in (-180, 180] and that of `like` where p1 is 0."""
    value = {name: float(numbers[i]) for name, i in AT.items()}
    p1 = float(hypot(value["p1c"], value["p1s"]))
    p3 = float(RAD2DEG * arctan2(value["p1s"], value["p1c"])) if p1 > 0 else like.p3
    if value["p1c"] == like.p1 * cos(DEG2RAD * like.p3) and value["p1s"] == like.p1 * sin(DEG2RAD * like.p3):
        p1, p3 = like.p1, like.p3  # as the user wrote them, if nothing has moved
    return replace(
        like,
        lsd=value["Lsd"],
        y_bc=value["BCy"],
        z_bc=value["BCz"],
        tx=value["tx"],
        ty=value["ty"],
        tz=value["tz"],
        p0=value["p0"],
        p2=value["p2"],
        p1=p1,
        p3=p3 if p3 > -180 else 180.0,
        wedge=value["Wedge"],
        wavelength=value["Wavelength"],
    )


def parsed(words: Iterable[str]) -> tuple[str, ...]:
    """Numbers that words as of `-refine` stand for, in the order of the kernel, `Panels` last.

    Raises
    ------
    UsageError : a word that is none
    """
    wanted: set[str] = set()
    for word in words:
        if word not in WORDS:
            raise UsageError(f"must be auto or some of {', '.join(WORDS)}", key="-refine", value=word)
        wanted.update(WORDS[word])
    return tuple(name for name in (*PARAMETERS, "Panels") if name in wanted)


@dataclass(frozen=True)
class State:
    """Instruments and grains.

    Parameters
    ----------
    numbers : (d, 27) of the instruments
    shifts : (p, 2) further shifts of the panels, px
    ub : (g, 3, 3), U·B, 1/Å
    positions : (g, 3), sample frame, µm
    """

    numbers: Array
    shifts: Array
    ub: Array
    positions: Array

    def arguments(self) -> tuple[Array, Array, Array, Array]:
        """As the kernel takes them."""
        ub = np.ascontiguousarray(self.ub.reshape(-1, 9))
        return self.numbers, self.shifts, ub, np.ascontiguousarray(self.positions)

    def take(self, grains: NDArray[np.intp] | NDArray[np.bool_]) -> State:
        """Some of the grains."""
        return replace(self, ub=self.ub[grains], positions=self.positions[grains])


@dataclass(frozen=True)
class Free:
    """The numbers of the instruments that are free, as columns.

    Parameters
    ----------
    names : (m,) of each column; with several detectors those that are not shared end with ``[1]``, ``[2]`` ...
    columns : (d, 23) int32, column of each number of each instrument, -1 where it is held
    panel_columns : (p,) int32, first of the two columns of each panel, or -1
    """

    names: tuple[str, ...]
    columns: NDArray[np.int32]
    panel_columns: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        wanted: Collection[str],
        detectors: int = 1,
        shared: Collection[str] = (),
        panels: Sequence[tuple[int, bool]] = (),
        held: Collection[str] = (),
    ) -> Free:
        """Columns.

        Parameters
        ----------
        wanted : names of numbers as of `parsed`
        detectors : number of instruments
        shared : numbers that all instruments have in common; the wobble, which is the stage's, is always
        panels : detector of each panel, and whether its shifts may be free
        held : names of columns that are to be left out
        """
        names: list[str] = []
        columns = np.full((detectors, len(PARAMETERS)), -1, np.int32)
        for name in (n for n in PARAMETERS if n in wanted):
            common = detectors == 1 or name in shared or name in WOBBLE
            for d in range(detectors):
                title = name if common else f"{name}[{d + 1}]"
                if title not in held:
                    columns[d, AT[name]] = len(names)
                    if not (common and d < detectors - 1):
                        names.append(title)
        panel_columns = np.full(len(panels), -1, np.int32)
        if "Panels" in wanted:
            for p, (_, movable) in enumerate(panels):
                if movable and f"dY{p}" not in held:
                    panel_columns[p] = len(names)
                    names += [f"dY{p}", f"dZ{p}"]
        return cls(tuple(names), columns, panel_columns)

    def __len__(self) -> int:
        return len(self.names)

    def plain(self) -> tuple[str, ...]:
        """The names without the number of the detector."""
        return tuple(name.partition("[")[0] for name in self.names)

    def all_free(self, name: str) -> bool:
        """Whether a number is free on every instrument."""
        return bool((self.columns[:, AT[name]] >= 0).all())

    def of_instrument(self, d: int) -> list[tuple[str, int]]:
        """Names and columns of the free numbers of an instrument."""
        return [(name, int(self.columns[d, i])) for i, name in enumerate(PARAMETERS) if self.columns[d, i] >= 0]

    def values(self, state: State) -> Array:
        """(m,) of a state."""
        out = np.empty(len(self))
        for d in range(len(self.columns)):
            for name, column in self.of_instrument(d):
                out[column] = state.numbers[d, AT[name]]
        for p, column in enumerate(self.panel_columns):
            if column >= 0:
                out[column : column + 2] = state.shifts[p]
        return out

    def moved(self, state: State, step: Array, grains: Array) -> State:
        """A state after a step of the free numbers (m,) and of the grains (g, 6) or (g, 12)."""
        numbers, shifts = state.numbers.copy(), state.shifts.copy()
        for d in range(len(self.columns)):
            for name, column in self.of_instrument(d):
                numbers[d, AT[name]] += step[column]
        for p, column in enumerate(self.panel_columns):
            if column >= 0:
                shifts[p] += step[column : column + 2]
        ub = rotations_of(grains[:, 3:6]) @ state.ub
        if grains.shape[1] > 6:
            ub = rotations_of(grains[:, 3:6]) @ np.linalg.inv(np.eye(3) + tensors_of(grains[:, 6:])) @ state.ub
        return State(numbers, shifts, ub, state.positions + grains[:, :3])


def rotations_of(vectors: Array) -> Array:
    """(n, 3) rotation vectors in degrees to (n, 3, 3) matrices."""
    angle = DEG2RAD * np.linalg.norm(vectors, axis=1)[:, None, None]
    safe = np.where(angle > 0, angle, 1.0)
    cross = np.zeros((len(vectors), 3, 3))
    a = DEG2RAD * vectors / safe[:, 0]
    cross[:, [2, 0, 1], [1, 2, 0]] = a
    cross[:, [1, 2, 0], [2, 0, 1]] = -a
    out: Array = np.eye(3) + sin(angle) * cross + (1 - cos(angle)) * cross @ cross
    return out


def tensors_of(strain: Array) -> Array:
    """(n, 6) strains 11 22 33 23 13 12 × 10⁶ to (n, 3, 3) tensors."""
    return 1e-6 * np.asarray(strain)[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(-1, 3, 3)


def strains_of(ub: Array, reference: Array) -> tuple[Array, Array]:
    """Strain and rotation of grains against a reference lattice.

    Parameters
    ----------
    ub : (g, 3, 3)
    reference : (3, 3), B of the unstrained cell

    Returns
    -------
    strain : (g, 6), 11 22 33 23 13 12 in the sample frame, left stretch minus 1, × 10⁶
    rotation : (g, 3, 3), crystal to sample
    """
    deformation = np.linalg.inv(ub).swapaxes(1, 2) @ reference.T
    left, stretch, right = np.linalg.svd(deformation)
    tensor = (left * stretch[:, None, :]) @ left.swapaxes(1, 2) - np.eye(3)
    return 1e6 * tensor[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], left @ right


def with_wedge_model(state: State, exact: bool) -> State:
    """The same numbers with the exact model of the wedge on every instrument, or with the legacy one."""
    numbers = state.numbers.copy()
    numbers[:, _EXACT_WEDGE] = float(exact)
    return replace(state, numbers=numbers)


def pixel_size(state: State) -> Array:
    """(d,) µm."""
    return state.numbers[:, _PX]


def distortion_radius(state: State) -> Array:
    """(d,) µm, RhoD."""
    return state.numbers[:, _RHO_D]
