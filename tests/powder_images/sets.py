"""The images that calibration is tested on: each in full size and small, the same in all but the number of pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from midas.experiment.detector import DetectorGeometry
from powder_images.lines import Lines, face_centred, lines, primitive
from powder_images.recipe import Panels, PowderSet

#: of all images, Å; cells of the powders, Å
WAVELENGTH, CEO2, LAB6 = 0.172973, 5.4116, 4.156826
_SMALLEST = 0.5

FLAT = DetectorGeometry(
    lsd=1000350.0, y_bc=1022.37, z_bc=1027.81, px=200.0, rho_d=200000.0,
    ty=0.31, tz=-0.24, p0=2e-4, p1=-1.5e-4, p2=8e-4, p3=30.0, wavelength=WAVELENGTH,
)  # fmt: skip
FLAT_START = DetectorGeometry(lsd=1001500.0, y_bc=1021.0, z_bc=1029.0, px=200.0, rho_d=200000.0, wavelength=WAVELENGTH)
MODULES = DetectorGeometry(
    lsd=657436.9, y_bc=685.485, z_bc=921.034, px=172.0, rho_d=219964.4,
    ty=0.2006, tz=0.4469, p0=2.6e-4, p1=5.6e-5, p2=-4.1e-4, p3=26.15, wavelength=WAVELENGTH,
)  # fmt: skip
MODULES_START = DetectorGeometry(lsd=658400.0, y_bc=687.0, z_bc=919.5, px=172.0, rho_d=219964.4, wavelength=WAVELENGTH)


def cubic(edge: float) -> tuple[float, float, float]:
    """Edges of a cube."""
    return (edge, edge, edge)


def ceo2() -> Lines:
    """Of cerium dioxide."""
    return lines(cubic(CEO2), face_centred, _SMALLEST)


def flat(small: bool = False) -> PowderSet:
    """Set F: one flat detector."""
    if not small:
        return PowderSet(FLAT, FLAT_START, (2048, 2048), ceo2())
    smaller = {"lsd": 400350.0, "y_bc": 254.37, "z_bc": 258.81, "rho_d": 60000.0}
    start = {"lsd": 400800.0, "y_bc": 253.0, "z_bc": 260.0, "rho_d": 60000.0}
    return PowderSet(replace(FLAT, **smaller), replace(FLAT_START, **start), (512, 512), ceo2())


def modules(shared: Path | None = None, small: bool = False) -> PowderSet:
    """Set M: 48 panels, mask and shifts of the folder `calibration` of the golden data.

    Small: 9 panels, shifts drawn; `shared` is not looked at.
    """
    if small:
        return _few_modules()
    assert shared is not None, "the mask and the shifts are in the golden data"
    import tifffile

    golden = shared / "golden" / "calibration"
    dead = tifffile.imread(golden / "mask_pilatus2m_deflate.tif") != 0
    shifts = np.loadtxt(golden / "pan_true.txt")[:, -3:]
    panels = Panels((6, 8), (243, 195), ((1, 7, 1, 7, 1), (17,) * 7), shifts)
    return PowderSet(
        MODULES, MODULES_START, (1679, 1475), ceo2(), height=20000.0, fwhm=(1.6, 1.0), panels=panels, dead=dead
    )


def drawn_shifts(panels: int, seed: int) -> np.ndarray:
    """(p, 3) shifts with zero mean, spread 0.2 px, 0.2 px, 0.02 degrees."""
    shifts = np.random.default_rng(seed).normal(size=(panels, 3)) * [0.2, 0.2, 0.02]
    return shifts - shifts.mean(axis=0)


def _few_modules() -> PowderSet:
    panels = Panels((3, 3), (165, 160), ((7, 1), (17, 17)), drawn_shifts(9, 5))
    shape = (514, 503)
    dead = np.ones(shape, bool)
    for panel in range(9):
        y, z = panels.first(panel)
        dead[z : z + 160, y : y + 165] = False
    smaller = {"lsd": 263000.0, "y_bc": 240.485, "z_bc": 271.034, "rho_d": 60000.0}
    start = {"lsd": 263400.0, "y_bc": 242.0, "z_bc": 269.5, "rho_d": 60000.0}
    return PowderSet(
        replace(MODULES, **smaller), replace(MODULES_START, **start), shape, ceo2(),
        height=20000.0, fwhm=(1.6, 1.0), panels=panels, dead=dead,
    )  # fmt: skip


def spotty(small: bool = False) -> PowderSet:
    """F with few grains: most of the light of a ring is in a few spots."""
    return replace(flat(small), spottiness=3.0)


def shadowed(small: bool = False) -> PowderSet:
    """F with a sector of 90 degrees in the shadow of something."""
    return replace(flat(small), shadow=(25.0, 115.0))


def saturated(small: bool = False) -> PowderSet:
    """F where three rings exceed the range of the detector."""
    return replace(flat(small), full_scale=1800.0)


def beside(small: bool = False) -> PowderSet:
    """F with the beam beside the detector."""
    whole = flat(small)
    return replace(
        whole,
        detector=replace(whole.detector, y_bc=whole.detector.y_bc - whole.shape[1] * 0.6),
        start=replace(whole.start, y_bc=whole.start.y_bc - whole.shape[1] * 0.6),
    )


def lab6(small: bool = False) -> PowderSet:
    """F of another powder, with more rings."""
    return replace(flat(small), lines=lines(cubic(LAB6), primitive, _SMALLEST))


def moved(small: bool = False) -> PowderSet:
    """F 150 mm (small: 50 mm) farther away, the beam on other pixels: with F two distances of known travel."""
    whole = flat(small)
    detector = replace(
        whole.detector,
        lsd=whole.detector.lsd + travel(small),
        y_bc=whole.detector.y_bc + 3.2,
        z_bc=whole.detector.z_bc - 1.7,
    )
    return replace(whole, detector=detector, start=replace(whole.start, lsd=whole.start.lsd + travel(small)))


def travel(small: bool = False) -> float:
    """How much farther `moved` is than `flat`, µm."""
    return 50000.0 if small else 150000.0


def sharp(small: bool = False) -> PowderSet:
    """F with rings narrower than a pixel."""
    return replace(flat(small), fwhm=(0.6, 0.0))


def doublets(small: bool = False) -> PowderSet:
    """F of a fluorite whose axis c is longer: most rings have a neighbour 5 to 10 px away."""
    stretch = 1.04 if small else 1.022
    return replace(flat(small), lines=lines((CEO2, CEO2, CEO2 * stretch), face_centred, _SMALLEST))


def tilted(small: bool = False, sign: int = 1) -> PowderSet:
    """F with tilts of 5 degrees."""
    whole = flat(small)
    return replace(whole, detector=replace(whole.detector, ty=5.0 * sign, tz=-5.0 * sign))


def astray(small: bool = False) -> PowderSet:
    """F with a start 8 % too far: the rings seem to be others."""
    whole = flat(small)
    return replace(whole, start=replace(whole.start, lsd=whole.detector.lsd * 1.08))


#: the further sets by name
FURTHER = {
    "spotty": spotty,
    "shadowed": shadowed,
    "saturated": saturated,
    "beside": beside,
    "lab6": lab6,
    "moved": moved,
    "sharp": sharp,
    "doublets": doublets,
    "tilted": tilted,
    "astray": astray,
}
