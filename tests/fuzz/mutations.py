"""Ways to spoil an input: bytes and numbers of any file, words of a text, values of JSON.

Each is a function ``(data, random) -> data``; `mixed` makes of some of them what a target wants. Those that know
ZIP, TIFF and HDF5 are in `structures`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

Step = Callable[[bytes, random.Random], bytes]

#: whole numbers at which programs go wrong
EDGES = (
    0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 10**6, 10**9,
    0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 32, 1 << 40, (1 << 62) - 1, 1 << 62,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1,
)  # fmt: skip
#: what may stand where a text has a number
WORDS = (
    b"", b"0", b"-1", b"1", b"-0", b"nan", b"-nan", b"inf", b"-inf", b"1e400", b"1e308", b"-1e308", b"1e-320", b"1e30",
    b"1e9", b"2147483647", b"2147483648", b"-2147483649", b"4294967296", b"9223372036854775807", b"9223372036854775808",
    b"1" * 400, b"0x10", b"1e", b"1_000", b".", b"-", b"+", b"zero", b"1.5.2", b"1,5", b"\xd9\xa3", b"\xff\xfe", b"\0",
    b"\x1b[31m", b"%s%n", b"../../x", b"/etc/passwd", b"~", b"$HOME", b"a\nb", b"a\rb", b'"', b"'", b"{}", b"[]", b"#",
)  # fmt: skip
_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[^\s]+")
#: values that JSON may have where a program expects others
_JSON = (
    None, True, False, 0, -1, 1, 2, 1 << 31, 10**9, 1 << 40, 1 << 62, 1 << 63, 1 << 64, 10**400, -(1 << 63), 0.5, 1e308,
    -1e308, float("nan"), float("inf"), "", "x", "<u2", "|O", "<f8", ">i4", "|S5", "<U3", "<M8[s]", "|V8", "<c16",
    "<f2", "blosc", "zlib", "\n", "\0", "\ud800", "..", [], {}, [[]], [0], [1, 2, 3], {"id": "zlib"}, {"id": 5},
    [{"id": "delta", "dtype": "<i4"}], [{"id": "shuffle", "elementsize": 4}], [{"id": "vlen-utf8"}],
)  # fmt: skip


def mixed(steps: Sequence[tuple[int, Step]], most: int = 3) -> Callable[[bytes, str, random.Random], bytes]:
    """One to `most` of the steps, chosen by weight, one after the other."""
    functions = [step for _, step in steps]
    weights = [weight for weight, _ in steps]

    def mutate(data: bytes, name: str, source: random.Random) -> bytes:
        for step in source.choices(functions, weights, k=source.choice((1, 1, 1, *range(2, most + 1)))):
            data = step(data, source)
        return data

    return mutate


def _place(data: bytes, source: random.Random) -> int:
    """Anywhere, but the beginning, where headers are, more often."""
    if source.random() < 0.5:
        return source.randrange(len(data) + 1)
    return min(len(data), int(source.expovariate(1 / 100)))


def flipped(data: bytes, source: random.Random) -> bytes:
    """Some bits or bytes of a few places."""
    out = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 4, 16))):
        if out:
            at = min(_place(data, source), len(out) - 1)
            out[at] = source.choice((out[at] ^ 1 << source.randrange(8), 0, 255, source.randrange(256)))
    return bytes(out)


def cut(data: bytes, source: random.Random) -> bytes:
    """The end is missing, or the beginning."""
    at = _place(data, source)
    return data[:at] if source.random() < 0.8 else data[at:]


def removed(data: bytes, source: random.Random) -> bytes:
    at = _place(data, source)
    return data[:at] + data[at + source.choice((1, 2, 4, 8, 64, 512)) :]


def doubled(data: bytes, source: random.Random) -> bytes:
    """A part stands there twice, or very often."""
    at, length = _place(data, source), source.choice((1, 2, 4, 8, 64, 512))
    times = source.choice((2, 2, 2, 3, 100))
    return data[:at] + data[at : at + length] * times + data[at + length :]


def moved(data: bytes, source: random.Random) -> bytes:
    """A part stands in the place of another one."""
    a, b, length = _place(data, source), _place(data, source), source.choice((1, 4, 8, 32, 128))
    part = data[a : a + length]
    return data[:b] + part + data[b + len(part) :]


def integer(data: bytes, source: random.Random) -> bytes:
    """A whole number of 1, 2, 4 or 8 bytes in either order becomes an edge value, or a neighbour of what it is."""
    width = source.choice((1, 2, 4, 4, 8, 8))
    if len(data) < width:
        return data
    at = min(_place(data, source), len(data) - width)
    if source.random() < 0.6:
        at -= at % min(width, 4)
    order = "little" if source.random() < 0.8 else "big"
    value = source.choice(EDGES)
    if source.random() < 0.3:
        value = int.from_bytes(data[at : at + width], order) + source.choice((-1, 1, 8, 1 << 16, 1 << 31))
    return data[:at] + (value % (1 << 8 * width)).to_bytes(width, order) + data[at + width :]


def number(data: bytes, source: random.Random) -> bytes:
    """A number of a text becomes another one, or no number."""
    return _replaced(_NUMBER, data, source)


def word(data: bytes, source: random.Random) -> bytes:
    return _replaced(_WORD, data, source)


_ODD_DIGITS = (
    b"9" * 5000,
    b"-" + b"9" * 5000,
    b"9" * 30,
    "\u00b2".encode(),
    b"\xb2",
    "\u0663".encode(),
    b"1e5000",
    b"0x1p9",
)


def odd_digits(data: bytes, source: random.Random) -> bytes:
    """A word becomes digits that are no number for every program: thousands of them, raised ones, other alphabets."""
    found = _WORD.search(data, _place(data, source)) or _WORD.search(data)
    if found is None:
        return data
    return data[: found.start()] + source.choice(_ODD_DIGITS) + data[found.end() :]


def _replaced(pattern: re.Pattern[bytes], data: bytes, source: random.Random) -> bytes:
    found = pattern.search(data, _place(data, source)) or pattern.search(data)
    if found is None:
        return data
    return data[: found.start()] + source.choice(WORDS) + data[found.end() :]


def line(data: bytes, source: random.Random) -> bytes:
    """A line is missing, there twice, elsewhere, or cut."""
    lines = data.split(b"\n")
    at = source.randrange(len(lines))
    match source.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(source.randrange(len(lines) + 1), lines[at])
        case 2:
            other = source.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = lines[at][: source.randrange(len(lines[at]) + 1)]
        case _:
            lines[at] += source.choice((b" ", b"\t", b"\r", b" x", b" 1 2 3", b"\0", b"\xa0", b"\xe2\x80\xa8"))
    return b"\n".join(lines)


#: what every file of bytes can suffer, and every text
BYTES: tuple[tuple[int, Step], ...] = (
    (3, flipped), (1, cut), (1, removed), (1, doubled), (1, moved), (4, integer),
)  # fmt: skip
TEXT: tuple[tuple[int, Step], ...] = (
    (6, number), (4, word), (3, line), (2, flipped), (1, cut), (1, removed), (1, doubled), (1, moved),
)  # fmt: skip


def within(start: int, end: int, step: Step) -> Step:
    """The step in one part of the file only; negative numbers count from its end."""

    def limited(data: bytes, source: random.Random) -> bytes:
        first, last = (n if n >= 0 else max(0, len(data) + n) for n in (start, end))
        return data[:first] + step(data[first:last], source) + data[last:]

    return limited


# JSON


def document(data: bytes, source: random.Random) -> bytes:
    """A value somewhere in a JSON document becomes another one, or is missing, or comes under another name."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return flipped(data, source)
    holder, key = _entry(content, source)
    if holder is None:
        return json.dumps(source.choice(_JSON)).encode()
    match source.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[source.choice(("shape", "chunks", "filters", "x", "\n", "id"))] = holder.pop(key)
        case 2 if isinstance(holder, list):
            holder *= source.choice((2, 40))
        case _:
            holder[key] = source.choice(_JSON)
    return json.dumps(content).encode("utf-8", "surrogatepass")


def _entry(content: Any, source: random.Random) -> tuple[Any, Any]:
    """A list or object somewhere in a document, and a key of it; (None, None) if there is none that is not empty."""
    holder, key = None, None
    while isinstance(content, (dict, list)) and content and (holder is None or source.random() < 0.6):
        holder = content
        key = source.choice(list(content)) if isinstance(content, dict) else source.randrange(len(content))
        content = holder[key]
    return holder, key
