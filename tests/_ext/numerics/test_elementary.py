"""The suite's own elementary functions: against sixty digits, at the edges, and their bits for good.

See docs/theory/elementary.md.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, localcontext

import elementary_tables
import high_precision as exact
import numpy as np
import pytest

from midas._ext.numerics import elementwise, variant

INF, NAN, TINY, NORMAL = math.inf, math.nan, 5e-324, 2.0**-1022
Arguments = Iterable[tuple[float, ...]]


def error(value: float, truth: Decimal) -> float:
    """Distance in units of the last place of the truth."""
    with localcontext(prec=90):
        return float(abs(Decimal(value) - truth) / Decimal(math.ulp(float(truth))))


def uniform(low: float, high: float, count: int = 60) -> Arguments:
    draw = random.Random(11)
    return [(draw.uniform(low, high),) for _ in range(count)]


def decades(low: float, high: float, count: int = 60) -> Arguments:
    draw = random.Random(12)
    return [(draw.uniform(-1, 1) * 10 ** draw.uniform(low, high),) for _ in range(count)]


def near_quarters() -> Arguments:
    """Doubles next to multiples of a quarter turn, and the one that comes closest of all."""
    quarters = [float(k * exact.pi() / 2) for k in (1, 2, 3, 4, 7, 15, 16, 100, 10**5, 10**10, 10**15)]
    steps = [float(k * exact.pi() / 256) for k in (1, 2, 3, 63, 64, 65, 127, 129)]
    odd = [6381956970095103 * 2.0**797, 1e22, 1.7976931348623157e308, 23.9999999, 24.0]
    return [(sign * x,) for x in quarters + steps + odd for sign in (1, -1)]


def planes() -> Arguments:
    draw = random.Random(13)
    pairs = [(draw.uniform(-1, 1), draw.uniform(-1, 1)) for _ in range(60)]
    pairs += [(y * 10 ** draw.uniform(-300, 300), x * 10 ** draw.uniform(-300, 300)) for y, x in pairs[:40]]
    pairs += [(y * 2.0**k, x * 2.0**k) for k in (-1060, -700, 700, 1023) for y, x in pairs[:10]]
    return pairs + [(draw.uniform(0.5, 1) * 2.0**-k, draw.uniform(-1, 1)) for k in range(20, 40)]


def positive(arguments: Arguments) -> Arguments:
    return [(abs(x),) for (x,) in arguments]


CASES: list[tuple[str, Callable[..., Decimal], Arguments, float]] = [
    ("exp", exact.exp, [*uniform(-30, 5, 300), *uniform(-708, 709), *uniform(-1e-3, 1e-3)], 0.511),
    ("exp", exact.exp, [*uniform(-745.1, -689), (709.782712893384,), (-745.1332191019411,)], 0.75),
    ("log", exact.log, [*positive(decades(-320, 300)), *uniform(0.9, 1.1, 100), *uniform(0.5, 2)], 0.52),
    ("sin", exact.sin, [*uniform(-7, 7, 200), *uniform(0, 0.06), *decades(-300, 300), *near_quarters()], 0.54),
    ("cos", exact.cos, [*uniform(-7, 7, 200), *uniform(0, 0.06), *decades(-300, 300), *near_quarters()], 0.54),
    ("tan", exact.tan, [*uniform(-7, 7, 100), *uniform(0.7, 0.9), *decades(-300, 300), *near_quarters()], 0.55),
    ("arcsin", exact.asin, [*uniform(-1, 1, 100), *uniform(0.1, 0.2), *decades(-300, -1)], 0.53),
    ("arccos", exact.acos, [*uniform(-1, 1, 100), *uniform(0.999, 1), *uniform(-1, -0.999), *decades(-30, -1)], 0.53),
    ("arctan", exact.atan, [*uniform(-1.2, 1.2, 100), *uniform(0.1, 0.2), *decades(-300, 300)], 0.53),
    ("arctan2", exact.atan2, planes(), 0.53),
    ("cbrt", exact.cbrt, decades(-320, 300), 0.51),
    ("erf", exact.erf, [*uniform(-6, 6, 100), *uniform(-0.3, 0.3), *decades(-300, -1)], 0.7),
]


@pytest.mark.parametrize(("name", "reference", "arguments", "bound"), CASES)
def test_errors_are_within_their_bounds(
    name: str, reference: Callable[..., Decimal], arguments: Arguments, bound: float
) -> None:
    function = getattr(elementwise, name)
    errors = {x: error(float(function(*x)), reference(*map(Decimal, x))) for x in arguments}
    worst = max(errors, key=errors.__getitem__)
    assert errors[worst] < bound, worst


def test_hypot() -> None:
    draw = random.Random(14)
    for _ in range(100):
        scale = 10 ** draw.uniform(-307, 307)
        x, y = draw.uniform(-1, 1) * scale, draw.uniform(-1, 1) * scale * 10 ** draw.uniform(-3, 0)
        assert error(float(elementwise.hypot(x, y)), exact.hypot(Decimal(x), Decimal(y))) < 0.51
    with np.errstate(all="ignore"):
        assert elementwise.hypot([3.0, INF, NAN, -0.0], [4.0, NAN, -INF, 0.0]).tolist() == [5.0, INF, INF, 0.0]


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("exp", [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (710.0, INF), (-746.0, 0.0), (TINY, 1.0)]),
        ("log", [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN)]),
        ("sin", [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (TINY, TINY), (-TINY, -TINY)]),
        ("cos", [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (TINY, 1.0)]),
        ("tan", [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (TINY, TINY)]),
        (
            "arcsin",
            [
                (0.0, 0.0),
                (-0.0, -0.0),
                (1.0, math.pi / 2),
                (-1.0, -math.pi / 2),
                (1.0000000000000002, NAN),
                (TINY, TINY),
            ],
        ),
        ("arccos", [(1.0, 0.0), (-1.0, math.pi), (0.0, math.pi / 2), (-1.0000000000000002, NAN), (INF, NAN)]),
        (
            "arctan",
            [(0.0, 0.0), (-0.0, -0.0), (INF, math.pi / 2), (-INF, -math.pi / 2), (1.0, math.pi / 4), (TINY, TINY)],
        ),
        ("cbrt", [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (27.0, 3.0), (-8.0, -2.0), (1e-300, 1e-100)]),
        ("erf", [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (6.5, 1.0)]),
    ],
)
def test_edges(name: str, pairs: list[tuple[float, float]]) -> None:
    with np.errstate(all="ignore"):
        found = getattr(elementwise, name)([x for x, _ in pairs])
        assert math.isnan(getattr(elementwise, name)(NAN))
    expected = [value for _, value in pairs]
    np.testing.assert_array_equal(found, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(np.array(expected)[known]))


def test_nan_stays_nan_without_a_warning() -> None:
    with np.errstate(all="raise"):
        for name in (*DIGESTS, "erf"):
            function = getattr(elementwise, name)
            assert math.isnan(function(*[NAN] * function.nin))
            assert np.isfinite(function(*[np.array([0.25, 0.5])] * function.nin)).all()


def test_arctan2_in_all_quadrants_and_at_signed_zeros() -> None:
    values = [0.0, 1.0, INF, TINY, NORMAL, 1.7e308, 3.0, NAN]
    pairs = list(itertools.product(*[[sign * x for x in values for sign in (1, -1)]] * 2))
    with np.errstate(all="ignore"):
        found = elementwise.arctan2(*np.transpose(pairs))
    expected = [math.atan2(y, x) for y, x in pairs]
    np.testing.assert_array_equal(found, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(np.array(expected)[known]))


#: of 20,000 results each; whoever changes a bit of a function changes results on disk
DIGESTS = {
    "exp": "e7b7f2f440020afb",
    "log": "fb9011bbebae75ee",
    "sin": "0f40f631a2b2ae1d",
    "cos": "b16b2731686d27a5",
    "tan": "76103dac9bedc372",
    "arcsin": "ffda853bdd9bd64b",
    "arccos": "6969bb928867547c",
    "arctan": "d010e1b406f2d963",
    "arctan2": "1c7ad5d90a4d62a4",
    "hypot": "bebaa240899a04fd",
    "cbrt": "ed9607c82aac6422",
    "erf": "701094d537d1a02d",
}


def test_bits_are_the_same_on_every_machine() -> None:
    unit = (np.arange(20000) * 7919 % 20011) / 20011.0
    results = {
        "exp": elementwise.exp(60 * unit - 50),
        "log": elementwise.log(0.01 + 20 * unit),
        "sin": elementwise.sin(40 * unit - 13),
        "cos": elementwise.cos(40 * unit - 13),
        "tan": elementwise.tan(3 * unit - 1),
        "arcsin": elementwise.arcsin(2 * unit - 1),
        "arccos": elementwise.arccos(2 * unit - 1),
        "arctan": elementwise.arctan(8 * unit - 4),
        "arctan2": elementwise.arctan2(2 * unit - 1, 2 * unit[::-1] - 1),
        "hypot": elementwise.hypot(2 * unit - 1, unit[::-1]),
        "cbrt": elementwise.cbrt(100 * unit - 30),
        "erf": elementwise.erf(10 * unit - 5),
    }
    found = {name: hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()[:16] for name, values in results.items()}
    assert found == DIGESTS


def test_tables_are_those_of_their_formulas() -> None:
    for name, text in elementary_tables.modules().items():
        assert (elementary_tables.FOLDER / name).read_text() == text, name


def test_the_c_library_for_legacy_digits() -> None:
    x = np.linspace(-3.0, 3.0, 20001)
    own = elementwise.sin(x)
    with variant.functions_of(c_library=True):
        with variant.functions_of(c_library=True):
            theirs = elementwise.sin(x)
        assert variant.calls_c_library()
    assert theirs.tolist() == [math.sin(value) for value in x.tolist()]
    assert not variant.calls_c_library()
    np.testing.assert_array_equal(elementwise.sin(x), own)
    np.testing.assert_allclose(own, theirs, rtol=2.3e-16, atol=0)


def test_threads_that_want_other_functions_wait_for_each_other() -> None:
    seen, inside = [], threading.Event()

    def other() -> None:
        inside.set()
        with variant.functions_of(c_library=False):
            seen.append(variant.calls_c_library())

    with variant.functions_of(c_library=True):
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
        thread.join(0.05)
        assert thread.is_alive()
        assert seen == []
    thread.join(10)
    assert seen == [False]


@pytest.mark.parametrize("first_out", [0, 1])
def test_blocks_of_threads_end_in_any_order(first_out: int) -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as another:
        blocks = [(thread, variant.functions_of(c_library=True)) for thread in (one, another)]
        for thread, block in blocks:
            thread.submit(block.__enter__).result(10)
        for open_ones in (2, 1):
            assert variant.calls_c_library()
            thread, block = blocks.pop(first_out if open_ones == 2 else 0)
            thread.submit(block.__exit__, None, None, None).result(10)
    assert not variant.calls_c_library()


def test_a_block_within_one_that_wants_the_other_functions() -> None:
    with variant.functions_of(c_library=True):
        with pytest.raises(RuntimeError, match="that wants the other"), variant.functions_of(c_library=False):
            pass
        assert variant.calls_c_library()
    assert not variant.calls_c_library()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forked")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_no_blocks_of_threads_that_it_lacks() -> None:
    with ThreadPoolExecutor(1) as other:
        block = variant.functions_of(c_library=True)
        other.submit(block.__enter__).result(10)
        child = os.fork()
        if child == 0:
            os._exit(1 if variant.calls_c_library() else 0)
        assert os.waitpid(child, 0)[1] == 0
        assert variant.calls_c_library()
        other.submit(block.__exit__, None, None, None).result(10)
    assert not variant.calls_c_library()
