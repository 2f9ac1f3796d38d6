"""The tables of `midas/_ext/numerics/elementary.pxd` (docs/theory/elementary.md#tables), from sixty digits.

python tests/elementary_tables.py    writes midas/_ext/numerics/{direct,inverse,erf}_tables.pxd
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from decimal import Decimal, localcontext
from pathlib import Path

import high_precision as exact

FOLDER = Path(__file__).resolve().parents[1] / "midas" / "_ext" / "numerics"
WIDTH = 116


def two_parts(x: Decimal) -> tuple[float, float]:
    """The nearest double, and the nearest to what is left."""
    with localcontext(prec=100):
        return float(x), float(x - Decimal(float(x)))


def of_bits(x: Decimal, last: int) -> float:
    """The multiple of 2^last nearest to x."""
    with localcontext(prec=100):
        unit = Decimal(2) ** last
        return float((x / unit).to_integral_value() * unit)


def exp_rows() -> Iterator[list[float]]:
    """2^(j/128), and what is left of it over it."""
    with localcontext(prec=100):
        for j in range(128):
            value = Decimal(2) ** (Decimal(j) / 128)
            yield [float(value), float((value - Decimal(float(value))) / value)]


def sine_rows() -> Iterator[list[float]]:
    """Sine and cosine of j π/128 in two parts each, up to an eighth of a turn."""
    with localcontext(prec=100):
        for j in range(33):
            s, c = exact.sin_cos(j * exact.pi() / 128)
            yield [*two_parts(s), *two_parts(c)]


def log_rows() -> Iterator[list[float]]:
    """Nine bits of 1/c, c between 1 + j/128 and the next, and minus its logarithm; from √2 on, of half."""
    for j in range(128):
        inverse = round(512 / (1 + (j + 0.5) / 128)) / 512
        with localcontext(prec=100):
            value = -exact.log(Decimal(inverse) * (2 if j >= 53 else 1))
            high = of_bits(value, -42)
            yield [inverse, high, float(value - Decimal(high))]


def less_one(slopes: list[Decimal]) -> Iterator[float]:
    """Taylor coefficients 1, 2, ... of a function with this expansion of its slope; 1 is taken from the first."""
    for n, slope in enumerate(slopes, 1):
        yield float(slope - 1 if n == 1 else slope / n)


def atan_rows() -> Iterator[list[float]]:
    """atan c in two parts and its Taylor coefficients 1 (less one) to 7, c = k/128 from 1/8 to 1."""
    with localcontext(prec=100):
        for k in range(16, 129):
            c = Decimal(k) / 128
            slopes = [1 / (1 + c * c)]
            slopes.append(-2 * c * slopes[0] / (1 + c * c))
            while len(slopes) < 7:
                slopes.append(-(2 * c * slopes[-1] + slopes[-2]) / (1 + c * c))
            yield [*two_parts(exact.atan(c)), *less_one(slopes)]


def asin_rows() -> Iterator[list[float]]:
    """asin c in two parts and its Taylor coefficients 1 (less one) to 8, c = k/128 from 1/8 to 1/2."""
    with localcontext(prec=100):
        for k in range(16, 65):
            c = Decimal(k) / 128
            slopes = [1 / (1 - c * c).sqrt()]
            slopes.append(c * slopes[0] / (1 - c * c))
            while len(slopes) < 8:
                n = len(slopes) - 1
                slopes.append(((2 * n + 1) * c * slopes[n] + n * slopes[n - 1]) / ((n + 1) * (1 - c * c)))
            yield [*two_parts(exact.asin(c)), *less_one(slopes)]


def erf_rows() -> Iterator[list[float]]:
    """erf c in two parts and its Taylor coefficients 1 (less one) to 10, c = k/16 from 1/8 to 6."""
    with localcontext(prec=100):
        for k in range(2, 97):
            c = Decimal(k) / 16
            slopes = [2 / exact.pi().sqrt() * (-c * c).exp()]
            slopes.append(-2 * c * slopes[0])
            while len(slopes) < 10:
                n = len(slopes) - 1
                slopes.append(-2 * (c * slopes[n] + slopes[n - 1]) / (n + 1))
            yield [*two_parts(exact.erf(c)), *less_one(slopes)]


def two_over_pi() -> list[int]:
    """64 zero bits and 1216 of 2/π, for arguments of any size."""
    digits = 420
    with localcontext(prec=digits):
        bits = int(2 / exact.pi(digits) * Decimal(2) ** (19 * 64))
    return [0, *((bits >> 64 * (18 - i)) & (2**64 - 1) for i in range(19))]


def lines(words: Iterable[str]) -> Iterator[str]:
    text = textwrap.fill(", ".join(words) + ",", WIDTH, break_on_hyphens=False)
    yield from textwrap.indent(text, "    ").splitlines()


def table(name: str, rows: Iterable[list[float]]) -> tuple[list[str], str]:
    """A table in C and its declaration."""
    rows = list(rows)
    body = lines(value.hex().replace(".0000000000000p", "p") for row in rows for value in row)
    c_name = f"midas_{name.lower()}"
    return (
        [f"    static const double {c_name}[{len(rows) * len(rows[0])}] = {{", *body, "    };"],
        f'    const double {name} "{c_name}"[]',
    )


def words_table(name: str, words: list[int]) -> tuple[list[str], str]:
    c_name = f"midas_{name.lower()}"
    body = lines(f"0x{word:016x}u" for word in words)
    return [f"    static const uint64_t {c_name}[{len(words)}] = {{", *body, "    };"], (
        f'    const uint64_t {name} "{c_name}"[]'
    )


def module(title: str, tables: list[tuple[list[str], str]]) -> str:
    return "\n".join(
        [
            f'"""{title} (docs/theory/elementary.md#tables).',
            "",
            "Printed by tests/elementary_tables.py.",
            '"""',
            *(["from libc.stdint cimport uint64_t", ""] if any("uint64_t" in last for _, last in tables) else []),
            "cdef extern from *:",
            '    """',
            "    #include <stdint.h>",
            *(line for text, _ in tables for line in text),
            '    """',
            *(declaration for _, declaration in tables),
            "",
        ]
    )


def modules() -> dict[str, str]:
    """What is in every file of tables."""
    return {
        "direct_tables.pxd": module(
            "Tables of exp, sin, cos and log",
            [
                table("EXP_TABLE", exp_rows()),
                table("SINE_TABLE", sine_rows()),
                table("LOG_TABLE", log_rows()),
                words_table("TWO_OVER_PI", two_over_pi()),
            ],
        ),
        "inverse_tables.pxd": module(
            "Tables of asin and atan", [table("ASIN_TABLE", asin_rows()), table("ATAN_TABLE", atan_rows())]
        ),
        "erf_table.pxd": module("Table of erf", [table("ERF_TABLE", erf_rows())]),
    }


if __name__ == "__main__":
    for name, text in modules().items():
        (FOLDER / name).write_text(text)
