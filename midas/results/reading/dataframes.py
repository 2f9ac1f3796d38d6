"""The tables of a layer as data frames of pandas, which is an extra: ``pip install midas-ffhedm[dataframe]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from midas.formats.paramstest import Plain
from midas.formats.table import Table
from midas.results.columns import Field
from midas.results.reading.arrays import Structured
from midas.runtime.errors import MidasError

if TYPE_CHECKING:
    from pandas import DataFrame


def frame_of_array(array: Structured, fields: tuple[Field, ...]) -> DataFrame:
    """A column a number: tensors and positions are spread over several; ``attrs["units"]`` has the units."""
    columns: dict[str, NDArray[np.float64]] = {}
    for field in fields:
        parts = array[field.name].reshape(len(array), len(field.flat_names))
        columns |= {name: part.copy() for name, part in zip(field.flat_names, parts.T, strict=True)}
    frame: DataFrame = _pandas().DataFrame(columns)
    frame.attrs["units"] = flat_units(fields)
    return frame


def flat_units(fields: tuple[Field, ...]) -> dict[str, str]:
    """Unit of each number of the fields; of a cell the lengths have another one than the angles."""
    units = {name: field.unit for field in fields for name in field.flat_names}
    return units | {name: unit.split(", ")[name in _ANGLES] for name, unit in units.items() if ", " in unit}


_ANGLES = ("alpha", "beta", "gamma")


def frame_of_table(table: Table) -> DataFrame:
    """The columns of a table of a file, under the names of the file."""
    frame: DataFrame = _pandas().DataFrame({name: table[name].copy() for name in table.names})
    return frame


def frame_of_parameters(values: dict[str, Plain]) -> DataFrame:
    """A row a parameter: its key and its value."""
    frame: DataFrame = _pandas().DataFrame({"key": list(values), "value": list(values.values())}, dtype=object)
    return frame


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MidasError("to_dataframe needs pandas: pip install midas-ffhedm[dataframe]") from None
    return pandas
