"""Numbers in a page: little-endian arrays in base64, and JSON that no text of a file can leave."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: the least int16 stands for no number
_NOTHING, _MOST = -32768, 32767
_TYPES = {"f4": "<f4", "i4": "<i4", "u1": "u1", "i1": "i1"}


def packed(values: ArrayLike, kind: str = "f4") -> dict[str, Any]:
    """An array as the script reads it: ``f4``, ``i4``, ``u1``, ``i1``."""
    return {"t": kind, "b": _base64(np.ascontiguousarray(values, _TYPES[kind]))}


def quantised(values: ArrayLike) -> dict[str, Any]:
    """An array of real numbers in 16 bits each, in 65 535 steps between the least and the greatest; NaN stays NaN."""
    numbers = np.asarray(values, np.float64).ravel()
    known = np.isfinite(numbers)
    low, high = (float(numbers[known].min()), float(numbers[known].max())) if known.any() else (0.0, 0.0)
    offset, scale = (low + high) / 2, max((high - low) / (2 * _MOST), 1e-30)
    steps = np.full(len(numbers), _NOTHING, np.float64)
    steps[known] = np.clip(np.rint((numbers[known] - offset) / scale), -_MOST, _MOST)
    return {"t": "i2", "b": _base64(steps.astype("<i2")), "s": scale, "o": offset}


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def script_json(value: object) -> str:
    """JSON for an element ``script``: nothing in it ends the element, whatever the texts are."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"),
                            ("\u2029", "\\u2029")):  # fmt: skip
        text = text.replace(character, code)
    return text


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in a page")


def figure_json(figure: Any) -> str:
    """A plotly figure as JSON: real numbers of arrays in single precision, which no screen tells from double."""
    return script_json(_compact(figure.to_plotly_json()))


def _compact(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Mapping):
        if "bdata" in value and value.get("dtype") == "f8":
            return _array(np.frombuffer(base64.b64decode(value["bdata"]), "<f8"), value.get("shape"))
        return {str(key): _compact(each) for key, each in value.items() if key != "template"}
    if isinstance(value, (list, tuple)):
        return [_compact(each) for each in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _array(array: NDArray[Any], shape: Sequence[int] | str | None = None) -> Any:
    if array.dtype.kind not in "fiu" or array.ndim != 1 or shape is not None:
        return _compact(array.tolist())
    if array.dtype.kind == "f":
        return {"dtype": "f4", "bdata": _base64(array.astype("<f4"))}
    small = array.astype("<i4")
    return {"dtype": "i4", "bdata": _base64(small)} if np.array_equal(small, array) else array.tolist()
