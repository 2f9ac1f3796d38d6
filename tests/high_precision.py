"""Elementary functions to sixty digits and more, with integers and `decimal` alone: the judge of the kernels' own."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

DIGITS = 70


@cache
def pi(digits: int = DIGITS) -> Decimal:
    """Machin: π = 16 atan(1/5) − 4 atan(1/239), in integers."""
    unit = 10 ** (digits + 10)

    def inverse_tangent(n: int) -> int:
        term = total = unit // n
        k = 1
        while term:
            term //= -n * n
            k += 2
            total += term // k
        return total

    with localcontext(prec=digits + 10):
        return Decimal(16 * inverse_tangent(5) - 4 * inverse_tangent(239)) / unit


def exp(x: Decimal) -> Decimal:
    with localcontext(prec=DIGITS):
        return x.exp()


def log(x: Decimal) -> Decimal:
    with localcontext(prec=DIGITS):
        return x.ln()


def _taylor_sine(x: Decimal) -> Decimal:
    term = total = x
    n = 1
    while abs(term) > abs(total) * Decimal(10) ** -DIGITS:
        term = -term * x * x / ((n + 1) * (n + 2))
        n += 2
        total += term
    return total


def _taylor_cosine(x: Decimal) -> Decimal:
    term = total = Decimal(1)
    n = 0
    while abs(term) > Decimal(10) ** -DIGITS:
        term = -term * x * x / ((n + 1) * (n + 2))
        n += 2
        total += term
    return total


def sin_cos(x: Decimal) -> tuple[Decimal, Decimal]:
    """Sine and cosine; π has as many digits more as `x` has before its point."""
    digits = DIGITS + 30 + max(0, x.adjusted())
    with localcontext(prec=digits):
        quarter = pi(digits) / 2
        turns = (x / quarter).to_integral_value()
        rest = x - turns * quarter
    with localcontext(prec=DIGITS + 10):
        s, c = (_taylor_sine(+rest), _taylor_cosine(+rest)) if rest else (rest, Decimal(1))
        return [(s, c), (c, -s), (-s, -c), (-c, s)][int(turns) % 4]


def sin(x: Decimal) -> Decimal:
    return sin_cos(x)[0]


def cos(x: Decimal) -> Decimal:
    return sin_cos(x)[1]


def tan(x: Decimal) -> Decimal:
    s, c = sin_cos(x)
    with localcontext(prec=DIGITS):
        return s / c


def atan(x: Decimal) -> Decimal:
    with localcontext(prec=DIGITS + 10):
        if abs(x) > 1:
            return (pi() / 2).copy_sign(x) - atan(1 / x)
        halvings = 0
        while abs(x) > Decimal("0.05"):
            x = x / (1 + (1 + x * x).sqrt())
            halvings += 1
        term = total = x
        n = 1
        while term and abs(term) > abs(total) * Decimal(10) ** -DIGITS:
            term = -term * x * x
            n += 2
            total += term / n
        return total * 2**halvings


def atan2(y: Decimal, x: Decimal) -> Decimal:
    """Of numbers that are not zero."""
    with localcontext(prec=DIGITS):
        return atan(y / x) + (pi().copy_sign(y) if x < 0 else 0)


def asin(x: Decimal) -> Decimal:
    with localcontext(prec=2 * DIGITS):
        return atan(x / ((1 - x) * (1 + x)).sqrt()) if abs(x) < 1 else (pi() / 2).copy_sign(x)


def acos(x: Decimal) -> Decimal:
    with localcontext(prec=2 * DIGITS):
        if x == -1:
            return pi()
        return 2 * atan(((1 - x) / (1 + x)).sqrt())


def erf(x: Decimal) -> Decimal:
    with localcontext(prec=2 * DIGITS):
        term = total = x
        n = 0
        while term and abs(term) > abs(total) * Decimal(10) ** -DIGITS:
            n += 1
            term = -term * x * x / n
            total += term / (2 * n + 1)
        return 2 * total / pi(2 * DIGITS).sqrt()


def cbrt(x: Decimal) -> Decimal:
    with localcontext(prec=DIGITS):
        return (abs(x).ln() / 3).exp().copy_sign(x) if x else x


def hypot(x: Decimal, y: Decimal) -> Decimal:
    with localcontext(prec=DIGITS):
        return (x * x + y * y).sqrt()
