"""Text tables of numbers: what a column is called, how it is printed, and the table in memory.

A `Layout` is the only place that knows a file's header, separators and print formats. A `Table` is columns by name;
each column is contiguous, so kernels take it as ``double[::1]`` without a copy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.numerics.text import format_table, parse_table, rounded
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes, write_atomic

#: numbers beyond this do not fit into 64-bit integers
LARGEST = 1e18


class Table:
    """Numbers in named columns.

    Parameters
    ----------
    names : one name per column
    columns : (k, n) float64, one row of the array per column
    """

    __slots__ = ("_index", "columns", "names")

    def __init__(self, names: Sequence[str], columns: NDArray[np.float64]):
        self.names = tuple(names)
        self.columns = np.ascontiguousarray(columns, dtype=np.float64)
        if self.columns.ndim != 2 or len(self.names) != len(self.columns):
            raise ValueError(f"{len(self.names)} names for an array of shape {self.columns.shape}")
        self._index = {name: i for i, name in enumerate(self.names)}

    @classmethod
    def from_columns(cls, names: Sequence[str], columns: Mapping[str, ArrayLike]) -> Table:
        """A table from one array per name; all the same length."""
        table = cls.empty(names, len(np.asarray(columns[names[0]])))
        for name in names:
            table[name][:] = columns[name]
        return table

    @classmethod
    def empty(cls, names: Sequence[str], rows: int) -> Table:
        """A table whose numbers are still to be filled in."""
        return cls(names, np.empty((len(names), rows)))

    def __len__(self) -> int:
        length: int = self.columns.shape[1]
        return length

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        column: NDArray[np.float64] = self.columns[self._index[name]]
        return column

    def numbers(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The numbers of k columns, row by row; (n, k)."""
        return np.ascontiguousarray(self.columns[[self._index[name] for name in names]].T)

    def integers(self, name: str) -> NDArray[np.int64]:
        """A column truncated to whole numbers."""
        return self[name].astype(np.int64)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Table:
        """The table of these rows."""
        if isinstance(rows, slice):
            return Table(self.names, self.columns[:, rows])
        return Table(self.names, self.columns.compress(rows, 1) if rows.dtype == bool else self.columns.take(rows, 1))

    def select(self, names: Sequence[str]) -> Table:
        """The table of these columns."""
        return Table(names, self.columns[[self._index[name] for name in names]])


@dataclass(frozen=True)
class Column:
    """Name in the program, and ``%d`` (decimals -1) or ``%<width>.<decimals>f`` in the file."""

    name: str
    decimals: int = 6
    width: int = 0


def integer(name: str) -> Column:
    """A column printed with ``%d``."""
    return Column(name, -1)


def fixed(names: str, decimals: int = 6, width: int = 0) -> tuple[Column, ...]:
    """Columns, given as one blank-separated string, printed with ``%f`` unless said otherwise."""
    return tuple(Column(name, decimals, width) for name in names.split())


@dataclass(frozen=True)
class Layout:
    """One kind of text table.

    Parameters
    ----------
    header : the header lines without the last line feed; "" for a file without header
    columns : in file order
    separator : between two columns
    trailing : whether the separator also follows the last column
    required : leading columns that a reader insists on; the others read as 0 when absent (all by default)
    written_by : the command that makes the file, for the message when it is missing
    free : columns that may hold any number, because no result depends on it or its reader tests it; the others must
        be finite and fit into 64-bit integers
    needed : what the rows are, where a file without any is an error
    """

    header: str
    columns: tuple[Column, ...]
    separator: str = " "
    trailing: bool = False
    required: int | None = None
    written_by: str = ""
    free: tuple[str, ...] = ()
    needed: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def header_lines(self) -> int:
        return self.header.count("\n") + 1 if self.header else 0

    def format(self, table: Table, *, header: str | None = None) -> bytes:
        """The file's content; `header` replaces the fixed one where it holds values."""
        head = self.header if header is None else header
        values = (table if table.names == self.names else table.select(self.names)).columns.T
        decimals = np.array([c.decimals for c in self.columns], dtype=np.int32)
        widths = np.array([c.width for c in self.columns], dtype=np.int32)
        body = format_table(values, decimals, widths, self.separator.encode(), self.trailing)
        return (head + "\n").encode() + body if head else body

    def write(self, path: str | os.PathLike[str], table: Table, *, header: str | None = None) -> None:
        """Write the file, complete or not at all."""
        write_atomic(path, self.format(table, header=header))

    def parse(self, content: bytes, path: str | os.PathLike[str]) -> Table:
        """The table in `content`; `path` is for messages."""
        required = len(self.columns) if self.required is None else self.required
        refuse_nul(content, path)
        columns, bad_line = parse_table(content, len(self.columns), self.header_lines, required)
        if bad_line:
            raise FormatError(f"must hold {required} numbers", file=path, line=bad_line)
        if self.header and not content:
            raise FormatError("is empty", file=path)
        if not _has_lines(content, self.header_lines):
            raise FormatError("ends within its header; it is cut off", file=path)
        if self.needed and not columns.shape[1]:
            raise FormatError(f"holds no {self.needed}; run {self.written_by} again", file=path)
        self._check_numbers(columns, content, path)
        return Table(self.names, columns)

    def _check_numbers(self, columns: NDArray[np.float64], content: bytes, path: str | os.PathLike[str]) -> None:
        """`FormatError` unless the numbers that count are numbers to count with."""
        for column, values in zip(self.columns, columns, strict=True):
            # One pass over the column in the usual case: NaN comes through both.
            if column.name in self.free or not len(values) or max(values.max(), -values.min()) < LARGEST:
                continue
            row = int(np.argmin(np.abs(values) < LARGEST))
            reason = f"must be a finite number below {LARGEST:.0e}"
            line = line_of_row(content, self.header_lines, row)
            raise FormatError(reason, file=path, line=line, key=column.name, value=f"{values[row]:g}")

    def read(self, path: str | os.PathLike[str]) -> Table:
        """Read the file."""
        advice = f"run {self.written_by} first" if self.written_by else ""
        return self.parse(read_bytes(path, advice=advice), path)

    def rounded(self, table: Table) -> Table:
        """The table as it would read back from its file, without writing it."""
        columns = np.empty((len(self.columns), len(table)))
        for c, out in zip(self.columns, columns, strict=True):
            if c.decimals < 0:
                np.trunc(table[c.name], out=out)
            else:
                rounded(table[c.name], c.decimals, out)
        return Table(self.names, columns)


_WHOLE = re.compile(r"[0-9]{1,18}")


def whole(word: str | bytes) -> int | None:
    """A word that is a whole number of digits and fits into 64 bits; None for any other: 5,000 digits, a raised two."""
    text = word.decode("latin-1") if isinstance(word, bytes) else word
    return int(text) if _WHOLE.fullmatch(text) else None


def concatenate(tables: Iterable[Table]) -> Table:
    """One table from several of the same columns."""
    tables = list(tables)
    return Table(tables[0].names, np.concatenate([t.columns for t in tables], axis=1))


def refuse_nul(content: bytes, path: str | os.PathLike[str]) -> None:
    """FormatError for a text file with bytes of 0: so a disk leaves what was never written to it."""
    if (at := content.find(0)) >= 0:
        reason = f"holds bytes of 0 from byte {at} on, which are no text; it is damaged, copy or make it again"
        raise FormatError(reason, file=path, line=content.count(b"\n", 0, at) + 1)


def _has_lines(content: bytes, count: int) -> bool:
    """Whether so many lines are there, each with its line feed."""
    at = 0
    for _ in range(count):
        at = content.find(b"\n", at) + 1
        if not at:
            return False
    return True


def line_of_row(content: bytes, skip: int, row: int) -> int:
    """1-based line of a row of a table: blank lines are no rows."""
    lines = enumerate(content.split(b"\n"), 1)
    return next(islice((n for n, line in lines if n > skip and line.strip()), row, None))
