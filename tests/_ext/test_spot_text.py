"""Rows of the spot tables against the C formats of docs/theory/fit_setup.md#spot-tables."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.spot_text import format_spots

LEADING = 8
REJECTED = (
    b"0.000 0.000 0.000 0.0000 ",
    b" 0.0000 0.0000 0.0000",
    b" 0.000 0.000 0.000 0.0000 0.000 0.000 0.000 0.000\n",
)


def formatted(values: np.ndarray, rejected: np.ndarray, begin: int, end: int, threads: int = 1) -> tuple[bytes, bytes]:
    return format_spots(values, LEADING, values[4].copy(), rejected, REJECTED, begin, end, threads)


def expected(values: np.ndarray, rejected: np.ndarray) -> tuple[bytes, bytes]:
    full, leading = [], []
    for row, out in zip(values.T, rejected, strict=True):
        words = [f"{x:12.5f}" for x in row]
        if out:
            words = [f"{0:.{d}f}" for d in (3, 3, 3, 4, 5, 4, 4, 4, 3, 3, 3, 4, 3, 3, 3, 3)]
            words[4] = f"{row[4]:12.5f}"
        full.append(" ".join(words) + "\n")
        leading.append(" ".join(words[:8]) + "\n")
    return "".join(full).encode(), "".join(leading).encode()


@pytest.mark.parametrize("threads", [1, 2])
def test_equals_printf(threads: int) -> None:
    random = np.random.default_rng(1)
    values = random.normal(0, 1, (16, 5000)) * 10.0 ** random.integers(-7, 12, (16, 5000))
    values[4] = np.arange(1.0, 5001)
    values[:3, :6] = [[-0.0, 1e300, -1e-9, 0.000005, -999999.999995, np.inf]] * 3
    rejected = (random.random(5000) < 0.2).astype(np.uint8)
    assert formatted(values, rejected, 0, 5000, threads) == expected(values, rejected)


def test_a_part_of_the_rows() -> None:
    values = np.random.default_rng(2).uniform(-1e5, 1e5, (16, 50))
    rejected = np.zeros(50, np.uint8)
    assert formatted(values, rejected, 10, 31) == expected(values[:, 10:31], rejected[10:31])
    assert formatted(values, rejected, 50, 50) == (b"", b"")
    with pytest.raises(ValueError, match="rows outside"):
        formatted(values, rejected, 10, 51)
