"""Where a raw frame lies in the image that all stages work on (docs/theory/peaks.md#image-transformations)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PaddedImage:
    """A raw frame, padded with zeros to a square and then flipped or transposed: `BC` is a place in this square.

    Parameters
    ----------
    rows, columns : of the raw frame
    operations : ``ImTransOpt``, in order: 1 reverses the columns, 2 the rows, 3 transposes; others change nothing

    Examples
    --------
    The flip of a frame of 160 rows happens in a square of 256, whose lower rows are empty:

    >>> image = PaddedImage(160, 256, (2,))
    >>> image.from_raw(100.0, 60.0)
    (100.0, 195.0)
    >>> image.to_raw(100.0, 195.0)
    (100.0, 60.0)
    >>> image.area
    (-0.5, 255.5, 95.5, 255.5)
    """

    rows: int
    columns: int
    operations: Sequence[int] = ()

    @property
    def side(self) -> int:
        """Of the square, px."""
        return max(self.rows, self.columns)

    def from_raw(self, column: float, row: float) -> tuple[float, float]:
        """Y and Z of a place in the raw frame, px."""
        y, z = column, row
        for operation in self.operations:
            y, z = self._applied(operation, y, z)
        return y, z

    def to_raw(self, y: float, z: float) -> tuple[float, float]:
        """Column and row, in the raw frame, of a place in the square; inverse of `from_raw`."""
        for operation in reversed(self.operations):  # each operation is its own inverse
            y, z = self._applied(operation, y, z)
        return y, z

    def _applied(self, operation: int, y: float, z: float) -> tuple[float, float]:
        if operation == 1:
            return self.side - 1 - y, z
        if operation == 2:
            return y, self.side - 1 - z
        return (z, y) if operation == 3 else (y, z)

    @property
    def area(self) -> tuple[float, float, float, float]:
        """Least and largest Y, least and largest Z of the part of the square that the raw frame fills, px.

        Pixels have their centres at whole numbers.
        """
        ends = self.from_raw(-0.5, -0.5), self.from_raw(self.columns - 0.5, self.rows - 0.5)
        (y_low, y_high), (z_low, z_high) = (sorted(pair) for pair in zip(*ends, strict=True))
        return y_low, y_high, z_low, z_high

    def holds(self, y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether places in the square, px, lie in that part; NaN does not."""
        y_low, y_high, z_low, z_high = self.area
        inside: NDArray[np.bool_] = (y >= y_low) & (y <= y_high) & (z >= z_low) & (z <= z_high)
        return inside


def raw_numbers(shape: tuple[int, int], operations: Sequence[int]) -> NDArray[np.int32]:
    """Number of the raw pixel that each detector pixel shows.

    Parameters
    ----------
    shape : (rows, columns) of the raw frame
    operations : ``ImTransOpt``, in order: 1 reverses the columns, 2 the rows, 3 transposes; others change nothing

    Returns
    -------
    (N, N) int32, indexed [y, z]; -1 where the padding to a square lies
    """
    rows, columns = shape
    size = max(shape)
    square = np.full((size, size), -1, np.int32)
    square[:rows, :columns] = np.arange(rows * columns, dtype=np.int32).reshape(shape)
    for operation in operations:
        if operation == 1:
            square = square[:, ::-1]
        elif operation == 2:
            square = square[::-1]
        elif operation == 3:
            square = square.T
    return square.T
