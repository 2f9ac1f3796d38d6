"""The options of the programs of a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from midas.runtime.options import NUMBER, NUMBERS, PATH, PATHS, SWITCH, TEXT, WHOLE, Kind, links_option, option

_WHOLES = Kind(int, lambda words: None if words is None else tuple(words), in_python="")
#: in the legacy driver these words mean "none"
NO_LSD, NO_BC = 1000000.0, 0.0


@dataclass(frozen=True)
class CalibrateOptions:
    """``ff-calibrate``. What is not given comes from the parameter file."""

    calibrant: str = option("-calibrant", TEXT, "", 'CeO2, LaB6, Si, Al2O3, a CIF, or "sg a b c al be ga"', "Calibrant")
    energy: float | None = option("-energy", NUMBER, None, "of the beam, keV", "Wavelength")
    wavelength: float | None = option("-wavelength", NUMBER, None, "of the beam, Å", "Wavelength")
    px: float | None = option("-px", NUMBER, None, "pixel size, µm", "px")
    params: Path | None = option("-params", PATH, None, "parameter file; options win over it")
    dark: Path | None = option("-dark", PATH, None, "dark frames", "Dark")
    mask: Path | None = option("-mask", PATH, None, "mask, everything but 0 is masked", "MaskFN")
    trans: tuple[int, ...] | None = option(
        "-trans",
        _WHOLES,
        None,
        "image transformations in order: 1 flip Y, 2 flip Z, 3 transpose",
        "ImTransOpt",
        count="+",
    )
    lsd: float | None = option("-lsd", NUMBER, None, "rough distance, µm; found if it is not given", "Lsd")
    bc: tuple[float, ...] | None = option(
        "-bc", NUMBERS, None, "rough beam centre Y Z, px; found if it is not given", "BC", count=2
    )
    tilts: tuple[float, ...] | None = option("-tilts", NUMBERS, None, "ty tz to start from, degrees", "ty", count=2)
    fit: str = option("-fit", TEXT, "", 'what is fitted: auto, or names: "Lsd BC ty tz p2"', "CalibFit")
    fix: str = option("-fix", TEXT, "", 'what stays as it is: "p0 p1"')
    wavelength_fit: bool = option("-wavelength-fit", SWITCH, False, "fit the wavelength, too")
    images: tuple[Path, ...] = option("-images", PATHS, (), "images at several distances, fitted together", count="+")
    travel: tuple[float, ...] | None = option(
        "-travel", NUMBERS, None, "how much farther the detector stood in each image, µm: 0 d2 ...", count="+"
    )
    travel_sigma: float = option("-travel-sigma", NUMBER, 0.0, "how well these are known, µm; 0 = exactly")
    panels: str = option(
        "-panels", TEXT, "auto", 'auto: those of the parameter file; off; or "NY NZ sizeY sizeZ gapsY... gapsZ..."'
    )
    out: Path | None = option("-out", PATH, None, "folder of the results; by default the current one")
    figure: Path | None = option("-figure", PATH, None, "the picture; by default calibration.png in the folder")
    json: Path | None = option("-json", PATH, None, "the record; by default calibration.json in the folder")
    engine: str = option(
        "-engine", TEXT, "", "lsq, or legacy: the legacy objective on the same points", "CalibEngine",
        choices=("", "lsq", "legacy"),
    )  # fmt: skip
    data_location: str = option("-dataLoc", TEXT, "", "HDF5 dataset of the image", "dataLoc")
    allow_links: bool = links_option()
    threads: int | None = option("-nCPUs", WHOLE, None, "threads; by default every core that the process may use")


@dataclass(frozen=True)
class AutoCalibrateOptions:
    """``AutoCalibrateZarr.py``, with the names and defaults that it always had."""

    data_file: Path | None = option("-dataFN", PATH, None, "image: archive, HDF5, GE, TIFF or another raw format")
    dark_file: Path | None = option("-darkFN", PATH, None, "dark frames", "Dark")
    data_location: str = option("-dataLoc", TEXT, "", "HDF5 dataset, if not exchange/data", "dataLoc")
    convert_file: int = option("-ConvertFile", WHOLE, -1, "accepted, not used: the content of the file tells")
    parameter_file: Path | None = option(
        "-paramFN", PATH, None, "parameter file; an archive may have all that is needed"
    )
    lsd_guess: float = option("-LsdGuess", NUMBER, NO_LSD, "rough distance, µm; 1000000 means none", "Lsd")
    bc_guess: tuple[float, ...] | None = option(
        "-BCGuess", NUMBERS, (0.0, 0.0), "rough beam centre Y Z, px; 0 means none", "BC", count=2
    )
    first_ring: int = option("-FirstRingNr", WHOLE, 1, "first ring that is used")
    eta_bin: float = option("-EtaBinSize", NUMBER, 2.0, "width of the bins in azimuth, degrees", "EtaBinSize")
    mult_factor: float = option(
        "-MultFactor", NUMBER, 2.5, "a ring whose mean strain exceeds the median of the rings by this is left out"
    )
    stopping_strain: float = option("-StoppingStrain", NUMBER, 0.00004, "a mean strain above this is warned of")
    threshold: float = option("-Threshold", NUMBER, 0.0, "of the arrays of -SavePlotsHDF; 0 = automatic")
    no_median: int = option("-NoMedian", WHOLE, 0, "1 = no background in the arrays of -SavePlotsHDF")
    operations: tuple[int, ...] | None = option(
        "-ImTransOpt", _WHOLES, (0,), "image transformations in order: 1 flip Y, 2 flip Z, 3 transpose", "ImTransOpt",
        count="+",
    )  # fmt: skip
    bad_intensity: str = option("-BadPxIntensity", TEXT, "nan", "value of bad pixels", "BadPxIntensity")
    gap_intensity: str = option("-GapIntensity", TEXT, "nan", "value of gaps", "GapIntensity")
    make_plots: int = option("-MakePlots", WHOLE, 0, "1 = also calibration.png and calibration.html; no window opens")
    save_plots: Path | None = option("-SavePlotsHDF", PATH, None, "HDF5 file with all arrays")
    threads: int | None = option("-nCPUs", WHOLE, None, "threads; by default every core that the process may use")
    most_passes: int = option("-maxIter", WHOLE, 20, "rounds in which rings are left out, at most")
