"""What the user asks of a calibration: the options of its three programs, and the request that all of them become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from midas.parameters import Parameters
from midas.parameters.table import Value
from midas.runtime.errors import UsageError
from midas.runtime.options import NUMBER, NUMBERS, PATH, PATHS, SWITCH, TEXT, WHOLE, Kind, option

#: keV Å
_HC = 12.398419843320026
_WHOLES = Kind(int, lambda words: None if words is None else tuple(words), in_python="")
#: numbers that can be fitted, as a parameter file has them, and their names in the fit
FITTED: dict[str, tuple[str, ...]] = {
    "Lsd": ("Lsd",), "BC": ("BCy", "BCz"), "ty": ("ty",), "tz": ("tz",), "p0": ("p0",), "p1": ("p1c", "p1s"),
    "p2": ("p2",), "p3": ("p1c", "p1s"), "Wavelength": ("Wavelength",),
}  # fmt: skip
#: fitted unless somebody wishes otherwise
_AUTOMATIC = tuple(name for name in FITTED if name != "Wavelength")
#: in the legacy driver these words mean "none"
_NO_LSD, _NO_BC = 1000000.0, 0.0
_PANEL_KEYS = ("NPanelsY", "NPanelsZ", "PanelSizeY", "PanelSizeZ")


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
    panels: str = option(
        "-panels", TEXT, "auto", 'auto: those of the parameter file; off; or "NY NZ sizeY sizeZ gapsY... gapsZ..."'
    )
    out: Path = option("-out", PATH, Path("."), "folder of the results")
    figure: Path | None = option("-figure", PATH, None, "the picture; by default calibration.png in the folder")
    json: Path | None = option("-json", PATH, None, "the record; by default calibration.json in the folder")
    engine: str = option(
        "-engine", TEXT, "", "lsq, or legacy: the legacy objective on the same points", "CalibEngine",
        choices=("", "lsq", "legacy"),
    )  # fmt: skip
    data_location: str = option("-dataLoc", TEXT, "", "HDF5 dataset of the image", "dataLoc")
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
    lsd_guess: float = option("-LsdGuess", NUMBER, _NO_LSD, "rough distance, µm; 1000000 means none", "Lsd")
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


@dataclass(frozen=True)
class RingRejection:
    """Rings that are left out again and again, as the legacy driver did.

    Parameters
    ----------
    factor : times the median over the rings, of a ring's mean absolute strain
    stopping : mean strain that is good enough; a larger one is warned of
    most_passes : rounds
    """

    factor: float = 2.5
    stopping: float = 0.00004
    most_passes: int = 20


@dataclass(frozen=True)
class CalibrationRequest:
    """What is to be calibrated, from whichever program it comes.

    Parameters
    ----------
    parameters : of the stage "calibrate", with the options
    folder : where relative paths of the parameter file are looked for, after the current folder
    images : each is calibrated by itself; with `travel` all together
    free, demanded : names of the fit that are free, and those that must be (`UndeterminedError` otherwise)
    travel : µm, how much farther the detector stood in each image; () when each image is calibrated by itself
    output : folder of the results
    legacy : names of files as the legacy programs had them: "" none, "OMP" those of one, "auto" those of the driver
    figure, json, arrays : where they go; None where the defaults hold, or where there are none
    picture : whether to draw
    rejection : of rings; None = none
    first_ring : number of the first ring that is used
    threshold, background : of the arrays of the legacy driver
    """

    parameters: Parameters
    folder: Path
    images: tuple[Path, ...]
    free: tuple[str, ...] = ()
    demanded: frozenset[str] = frozenset()
    travel: tuple[float, ...] = ()
    output: Path = Path()
    legacy: str = ""
    figure: Path | None = None
    json: Path | None = None
    arrays: Path | None = None
    picture: bool = True
    rejection: RingRejection | None = None
    first_ring: int = 1
    threshold: float = 0.0
    background: bool = True
    remarks: tuple[str, ...] = field(default=())


def fitted_names(
    words: tuple[str, ...], held: tuple[str, ...], with_wavelength: bool
) -> tuple[tuple[str, ...], frozenset[str]]:
    """What is free in the fit, and what the user demands.

    Parameters
    ----------
    words : as `CalibFit`
    held : names that stay as they are

    Raises
    ------
    UsageError : there is no such number
    """
    for key, names in (("-fit", words), ("-fix", held)):
        for name in names:
            if name not in FITTED and not (key == "-fit" and name == "auto"):
                raise UsageError(f"cannot be fitted; there are {' '.join(FITTED)}, or auto", key=key, value=name)
    automatic = not words or "auto" in words
    asked = [*(_AUTOMATIC if automatic else ()), *(word for word in words if word != "auto")]
    if with_wavelength:
        asked.append("Wavelength")
    kept = [name for name in dict.fromkeys(asked) if name not in held]
    if not kept:
        raise UsageError("nothing is left to be fitted", key="-fix", value=" ".join(held))
    free = dict.fromkeys(part for name in kept for part in FITTED[name])
    named = [name for name in (*words, *(["Wavelength"] if with_wavelength else [])) if name in kept]
    return tuple(free), frozenset(part for name in named for part in FITTED[name])


def keys_of_calibrate(options: CalibrateOptions) -> dict[str, Value]:
    """The parameters that the options of ``ff-calibrate`` stand for.

    Raises
    ------
    UsageError : options that do not go together
    """
    given: dict[str, Value] = {}
    if options.energy is not None:
        if options.wavelength is not None:
            raise UsageError("give the energy or the wavelength, not both", key="-energy")
        if not options.energy > 0:
            raise UsageError("must be greater than 0", key="-energy", value=options.energy)
        given["Wavelength"] = _HC / options.energy
    for item in fields(options):
        key, value = item.metadata["key"], getattr(options, item.name)
        if key and value not in (None, "", ()) and item.name not in ("energy", "tilts", "fit"):
            given[key] = str(value) if isinstance(value, Path) else value
    if options.dark is not None:
        given["Dark"] = (str(options.dark),)
    if options.tilts is not None:
        given["ty"], given["tz"] = options.tilts
    return given | _panels(options.panels)


def _panels(text: str) -> dict[str, Value]:
    """Keys of the panels, of ``NY NZ sizeY sizeZ`` and the gaps."""
    if text == "auto":
        return {}
    if text == "off":
        return {"NPanelsY": 0, "NPanelsZ": 0}
    try:
        numbers = [int(word) for word in text.split()]
    except ValueError:
        numbers = []
    gaps = numbers[4:]
    if len(numbers) < 4 or min(numbers[:2]) < 1 or len(gaps) != numbers[0] - 1 + numbers[1] - 1:
        reason = 'must be auto, off, or "NY NZ sizeY sizeZ" followed by the NY - 1 gaps along Y and the NZ - 1 along Z'
        raise UsageError(reason, key="-panels", value=text)
    found: dict[str, Value] = dict(zip(_PANEL_KEYS, numbers, strict=False))
    found["PanelGapsY"], found["PanelGapsZ"] = tuple(gaps[: numbers[0] - 1]), tuple(gaps[numbers[0] - 1 :])
    return found


def keys_of_auto(options: AutoCalibrateOptions, given: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters that the options of the legacy driver stand for; those at their defaults leave the file's alone.

    Parameters
    ----------
    given : of the parameter file
    """
    keys: dict[str, Value] = {"EtaBinSize": options.eta_bin}
    if options.dark_file is not None:
        keys["Dark"] = (str(options.dark_file),)
    if options.data_location:
        keys["dataLoc"] = options.data_location
    if options.lsd_guess != _NO_LSD:
        keys["Lsd"] = options.lsd_guess
    if options.bc_guess and options.bc_guess[0] != _NO_BC:
        keys["BC"] = options.bc_guess
    if options.operations and any(options.operations) or "ImTransOpt" not in given:
        keys["ImTransOpt"] = options.operations or ()
    for key, text in (("BadPxIntensity", options.bad_intensity), ("GapIntensity", options.gap_intensity)):
        try:
            value = float(text)
        except ValueError:
            raise UsageError("must be a number or nan", key=f"-{key}", value=text) from None
        if value == value:
            keys[key] = value
    return keys
