"""What the user asks of a calibration, from whichever of its programs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePath

from midas.archive import Archive
from midas.experiment.detector import KEV_ANGSTROM
from midas.parameters import Parameters
from midas.parameters.table import FOREIGN_FLOATS, FOREIGN_INTS, FOREIGN_OTHERS, FOREIGN_WORDS, Value
from midas.pipeline.calibration_options import NO_BC, NO_LSD, AutoCalibrateOptions, CalibrateOptions
from midas.runtime.errors import UsageError
from midas.runtime.named_paths import named_file

log = logging.getLogger(__name__)

#: numbers that can be fitted, as a parameter file has them, and their names in the fit
FITTED: dict[str, tuple[str, ...]] = {
    "Lsd": ("Lsd",), "BC": ("BCy", "BCz"), "ty": ("ty",), "tz": ("tz",), "p0": ("p0",), "p1": ("p1c", "p1s"),
    "p2": ("p2",), "p3": ("p1c", "p1s"), "Wavelength": ("Wavelength",),
}  # fmt: skip
#: fitted unless somebody wishes otherwise
_AUTOMATIC = tuple(name for name in FITTED if name != "Wavelength")
_PANEL_KEYS = ("NPanelsY", "NPanelsZ", "PanelSizeY", "PanelSizeZ")


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
    travel_sigma : µm, how well that is known
    output : folder of the results
    legacy : names of files as the legacy programs had them: "" none, "OMP" those of one, "auto" those of the driver
    figure, json, arrays : where they go; None where the defaults hold, or where there are none
    picture : whether to draw
    rejection : of rings; None = none
    first_ring : number of the first ring that is used
    threshold, background : of the arrays of the legacy driver
    links : whether HDF5 files may lead to others anywhere
    """

    parameters: Parameters
    folder: Path
    images: tuple[Path, ...]
    free: tuple[str, ...] = ()
    demanded: frozenset[str] = frozenset()
    travel: tuple[float, ...] = ()
    travel_sigma: float = 0.0
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
    links: bool = False


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
        given["Wavelength"] = KEV_ANGSTROM / options.energy
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


def parameters_of(source: Path | None) -> tuple[Parameters, Path]:
    """The parameters of a file or an archive, and the folder that relative paths in it belong to.

    A key that no program knows is a warning, one for all of them.
    """
    if source is None:
        return Parameters({}), Path()
    if source.suffix == ".zip":
        with Archive(source) as archive:
            given = archive.parameters.without("Dark", "MaskFN", "FloodFN")
        if named := given.get("PanelShiftsFile", ""):  # which is written, too
            given = given.changed(PanelShiftsFile=PurePath(named).name)
        for key in ("GapFile", "BadPxFile"):
            if named := given.get(key, ""):
                given = given.changed(**{key: str(named_file(named, source.parent, key=key, source=source))})
        return given, source.parent
    given = Parameters.read(source, "calibration")
    foreign = FOREIGN_FLOATS | FOREIGN_INTS | FOREIGN_WORDS | FOREIGN_OTHERS
    if unknown := [name for name in given.unknown if name not in foreign]:
        log.warning("%s: nothing reads %s", source, ", ".join(unknown))
    return given, source.absolute().parent


def with_keys(source: Path | None, keys: Mapping[str, Value]) -> tuple[Parameters, Path]:
    """The parameters of a calibration: those of a file or an archive, and those of the options, which win.

    Returns
    -------
    for the stage "calibrate", and the folder that relative paths belong to
    """
    given, folder = parameters_of(source)
    settled = given.changed(**keys).for_stage("calibrate")
    for key in keys:
        settled[key]  # out of its range: an error now
    return settled, folder


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
    if options.lsd_guess != NO_LSD:
        keys["Lsd"] = options.lsd_guess
    if options.bc_guess and options.bc_guess[0] != NO_BC:
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
