"""Elastic constants of common materials, each with the measurement that it comes from.

Room temperature, adiabatic, GPa, in the conventional frame of the crystal (docs/theory/stress.md#frames).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Material:
    """Constants of a material.

    Parameters
    ----------
    names : by which it is called, in lower case
    title : what it is
    space_group : of its crystal
    constants : (name, GPa)
    slip : names of its usual slip families, see `midas.results.stress.slip`; empty where it has no common one
    source : who measured it, and when
    """

    names: tuple[str, ...]
    title: str
    space_group: int
    constants: tuple[tuple[str, float], ...]
    slip: tuple[str, ...]
    source: str


def _cubic(names: str, title: str, group: int, numbers: tuple[float, float, float], slip: str, source: str) -> Material:
    given = tuple(zip(("C11", "C12", "C44"), numbers, strict=True))
    return Material(tuple(names.split()), title, group, given, tuple(slip.split()), source)


def _hexagonal(names: str, title: str, numbers: tuple[float, float, float, float, float], source: str) -> Material:
    given = tuple(zip(("C11", "C12", "C13", "C33", "C44"), numbers, strict=True))
    return Material(tuple(names.split()), title, 194, given, ("hcp",), source)


_CORUNDUM = (("C11", 496.8), ("C12", 163.6), ("C13", 110.9), ("C14", 23.5), ("C33", 498.1), ("C44", 147.4))

MATERIALS = (
    _cubic("al aluminium aluminum", "aluminium", 225, (106.75, 60.41, 28.34), "fcc",
           "J. F. Thomas, Phys. Rev. 175 (1968) 955"),
    _cubic("cu copper", "copper", 225, (168.4, 121.4, 75.39), "fcc",
           "W. C. Overton, J. Gaffney, Phys. Rev. 98 (1955) 969"),
    _cubic("ni nickel", "nickel, magnetically saturated", 225, (250.8, 150.0, 123.5), "fcc",
           "G. A. Alers, J. R. Neighbours, H. Sato, J. Phys. Chem. Solids 13 (1960) 40"),
    _cubic("au gold", "gold", 225, (192.9, 163.8, 41.5), "fcc",
           "Y. Hiki, A. V. Granato, Phys. Rev. 144 (1966) 411"),
    _cubic("ag silver", "silver", 225, (122.2, 90.7, 45.4), "fcc",
           "Y. Hiki, A. V. Granato, Phys. Rev. 144 (1966) 411"),
    _cubic("austenite 316 304", "austenitic stainless steel, 18 Cr 12 Ni", 225, (204.6, 137.7, 126.2), "fcc",
           "H. M. Ledbetter, Phys. Status Solidi A 85 (1984) 89"),
    _cubic("fe iron ferrite", "bcc iron", 229, (231.4, 134.7, 116.4), "bcc",
           "mean of measurements, G. Simmons, H. Wang, Single Crystal Elastic Constants, 2nd ed., MIT Press (1971)"),
    _cubic("w tungsten", "tungsten", 229, (522.39, 204.37, 160.58), "bcc",
           "R. Lowrie, A. M. Gonas, J. Appl. Phys. 38 (1967) 4505"),
    _cubic("ta tantalum", "tantalum", 229, (260.2, 154.4, 82.55), "bcc",
           "N. Soga, J. Appl. Phys. 37 (1966) 3416"),
    _cubic("nb niobium", "niobium", 229, (245.6, 138.7, 29.3), "bcc",
           "K. J. Carroll, J. Appl. Phys. 36 (1965) 3689"),
    _cubic("mo molybdenum", "molybdenum", 229, (463.7, 157.8, 109.2), "bcc",
           "J. M. Dickinson, P. E. Armstrong, J. Appl. Phys. 38 (1967) 602"),
    _cubic("v vanadium", "vanadium", 229, (228.0, 118.7, 42.6), "bcc",
           "G. A. Alers, Phys. Rev. 119 (1960) 1532"),
    _cubic("cr chromium", "chromium", 229, (339.8, 58.6, 99.0), "bcc",
           "CRC Handbook of Chemistry and Physics, 98th ed. (2017), Elastic Constants of Single Crystals"),
    _cubic("nial", "NiAl, ordered (B2)", 221, (199.0, 137.0, 116.0), "b2",
           "N. Rusovic, H. Warlimont, Phys. Status Solidi A 44 (1977) 609"),
    _cubic("si silicon", "silicon", 227, (165.78, 63.94, 79.62), "fcc",
           "H. J. McSkimin, P. Andreatch, J. Appl. Phys. 35 (1964) 2161"),
    _cubic("ge germanium", "germanium", 227, (128.53, 48.26, 66.80), "fcc",
           "H. J. McSkimin, P. Andreatch, J. Appl. Phys. 34 (1963) 651"),
    _cubic("diamond", "diamond", 227, (1079.0, 124.0, 578.0), "fcc",
           "H. J. McSkimin, P. Andreatch, J. Appl. Phys. 43 (1972) 2944"),
    _cubic("mgo periclase", "MgO", 225, (296.6, 95.9, 156.2), "rocksalt",
           "Y. Sumino, O. L. Anderson, I. Suzuki, Phys. Chem. Miner. 9 (1983) 38"),
    _cubic("ceo2 ceria", "CeO2", 225, (403.0, 105.0, 60.0), "fluorite",
           "A. Nakajima, A. Yoshihara, M. Ishigame, Phys. Rev. B 50 (1994) 13297"),
    _hexagonal("ti titanium", "alpha titanium", (162.4, 92.0, 69.0, 180.7, 46.7),
               "E. S. Fisher, C. J. Renken, Phys. Rev. 135 (1964) A482"),
    _hexagonal("zr zirconium", "alpha zirconium", (143.4, 72.8, 65.3, 164.8, 32.0),
               "E. S. Fisher, C. J. Renken, Phys. Rev. 135 (1964) A482"),
    _hexagonal("mg magnesium", "magnesium", (59.40, 25.61, 21.44, 61.60, 16.40),
               "L. J. Slutsky, C. W. Garland, Phys. Rev. 107 (1957) 972"),
    _hexagonal("zn zinc", "zinc", (163.68, 36.40, 53.00, 63.47, 38.79),
               "G. A. Alers, J. R. Neighbours, J. Phys. Chem. Solids 7 (1958) 58"),
    _hexagonal("co cobalt", "hcp cobalt", (307.1, 165.0, 102.7, 358.1, 75.5),
               "H. J. McSkimin, J. Appl. Phys. 26 (1955) 406"),
    _hexagonal("be beryllium", "beryllium", (292.3, 26.7, 14.0, 336.4, 162.5),
               "J. F. Smith, C. L. Arbogast, J. Appl. Phys. 31 (1960) 99"),
    Material(("al2o3", "alumina", "corundum", "sapphire", "ruby"), "alpha-Al2O3", 167, _CORUNDUM, (),
             "J. B. Wachtman et al., J. Res. Natl. Bur. Stand. A 64 (1960) 213; C14 in the obverse structural cell, "
             "where it is positive: J. R. Gladden et al., Appl. Phys. Lett. 85 (2004) 392"),
)  # fmt: skip


def material(name: str) -> Material | None:
    """The material of that name, whatever its case; None if there is none."""
    return next((one for one in MATERIALS if name.lower() in one.names), None)
