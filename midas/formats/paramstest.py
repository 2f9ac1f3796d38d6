"""``paramstest.txt``: the parameters of binning, indexing and refinement (docs/theory/fit_setup.md#paramstesttxt).

Reading it is ``Parameters.read(path, "paramstest")``, or `plain_values` for those who only look at it; this module
knows the order and the print formats of its lines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.parameters.table import KEYS, Value


class _Line(NamedTuple):
    """Spelling in the file, the parameter it shows, and whether each of its items has a line."""

    name: str
    parameter: str
    repeated: bool = False


#: lines that end in a semicolon
_LINES = (
    _Line("LatticeParameter", "LatticeParameter"),
    _Line("MaxRingRad", "RhoD"),
    _Line("SpaceGroup", "SpaceGroup"),
    _Line("Wavelength", "Wavelength"),
    _Line("Distance", "Lsd"),
    _Line("Rsample", "Rsample"),
    _Line("Hbeam", "Hbeam"),
    _Line("px", "px"),
    _Line("BeamSize", "BeamThickness"),
    _Line("StepsizePos", "StepSizePos"),
    _Line("StepsizeOrient", "StepSizeOrient"),
    _Line("MarginRadius", "MarginRadius"),
    _Line("OmeBinSize", "OmeBinSize"),
    _Line("EtaBinSize", "EtaBinSize"),
    _Line("ExcludePoleAngle", "MinEta"),
    _Line("RingNumbers", "RingNumbers", True),
    _Line("RingRadii", "RingRadii", True),
    _Line("UseFriedelPairs", "UseFriedelPairs"),
    _Line("Wedge", "Wedge"),
    _Line("OmegaRange", "OmegaRange", True),
    _Line("BoxSize", "BoxSize", True),
    _Line("MarginEta", "MarginEta"),
    _Line("MarginOme", "MarginOme"),
    _Line("MargABC", "MargABC"),
    _Line("MargABG", "MargABG"),
    _Line("MarginRadial", "MarginRadial"),
    _Line("MinMatchesToAcceptFrac", "Completeness"),
)

#: parameters that the legacy programs do not have, written only when they are given with another value than the default
_NEW = tuple(_Line(name, name, key.lines) for name, key in KEYS.items() if key.handed_on)


def _number(value: float | int | str) -> str:
    """``%d`` or ``%f``; where ``%f`` loses digits, the shortest text that does not."""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.6f}"
    return text if float(text) == value else repr(value)


def _values(value: Value) -> str:
    return " ".join(map(_number, value if isinstance(value, tuple) else (value,)))


def _lines(line: _Line, value: Value) -> Iterator[str]:
    for item in value if line.repeated else (value,):
        yield f"{line.name} {_values(item)}"


def format_paramstest(parameters: Parameters, layer: Layer) -> bytes:
    """The file's content.

    Parameters
    ----------
    parameters : with the fitted geometry as Lsd, BC, ty and tz, and with the rings in use
    """
    folder = layer.folder_text
    y_bc, z_bc = parameters["BC"]
    lines = [f"{text};" for line in _LINES for text in _lines(line, parameters[line.parameter])]
    lines += [
        f"SpotsFileName {layer.input_all.name}",
        f"RefinementFileName {layer.extra_info.name}",
        f"OutputFolder {folder}//{layer.output.name}",
        f"ResultFolder {folder}//{layer.results.name}",
        f"IDsFileName {layer.spots_to_index.name}",
    ]
    tail = {"LsdFit": parameters["Lsd"], "YBCFit": y_bc, "ZBCFit": z_bc}
    tail |= {"tyFit": parameters["ty"], "tzFit": parameters["tz"]}
    tail |= {name: parameters[name] for name in ("p0", "p1", "p2", "p3")}
    lines += [f"{name} {_number(value)}" for name, value in tail.items()]
    if parameters["TiltModel"] == "exact" and parameters["tx"]:
        lines.append(f"tx {_number(parameters['tx'])}")
    for line in _NEW:
        if line.parameter in parameters and parameters[line.parameter] != parameters.default_of(line.parameter):
            lines += _lines(line, parameters[line.parameter])
    return os.fsencode("".join(f"{line}\n" for line in lines))


_COMMENT = re.compile(r"(^|\s)#.*$")

#: a number, the numbers of all lines of a key, or text: of one line, or of several
Plain: TypeAlias = float | tuple[float, ...] | str | tuple[str, ...]


def plain_values(text: str) -> dict[str, Plain]:
    """What stands in the file under each of its keys, as it stands there; `Lsd` is `Distance` where it is not given."""
    lines: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = _COMMENT.sub("", line).strip().rstrip(";").split(None, 1)
        if words and not words[0].startswith("%"):
            lines.setdefault(words[0], []).append(words[1].strip() if len(words) > 1 else "")
    if "Lsd" not in lines and "Distance" in lines:
        lines["Lsd"] = lines["Distance"]
    return {key: _plain(values) for key, values in lines.items()}


def _plain(values: list[str]) -> Plain:
    try:
        numbers = tuple(float(word) for word in " ".join(values).split())
    except ValueError:
        numbers = ()
    if numbers:
        return numbers[0] if len(numbers) == 1 else numbers
    return values[0] if len(values) == 1 else tuple(values)
