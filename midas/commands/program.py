"""What a program is: its names, its arguments, its help, and the function that does what they say."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from midas._version import __version__
from midas.runtime.errors import UsageError
from midas.runtime.options import Option

if TYPE_CHECKING:
    from midas.runtime.result import StageResult


@dataclass(frozen=True)
class Argument:
    """A positional argument.

    Parameters
    ----------
    required : under the short name
    legacy_required : under the legacy names, where that differs
    several : takes all words that are left
    """

    name: str
    help: str
    type: type = str
    required: bool = True
    legacy_required: bool | None = None
    several: bool = False


@dataclass(frozen=True)
class Program:
    """One program under its short name and its legacy names.

    Parameters
    ----------
    names : the short one first; a program without a short name has a legacy one only
    does : first paragraph of the help: what it does
    uses : second paragraph: what it reads, what it writes, what comes next
    examples : (command line, what it is for)
    run : does it; heavy imports belong into it, so that the help answers at once
    has_short_name : whether the first of the names is the short one
    exact : surplus arguments are an error
    shared : the processes of an MPI run share its work; of another program the first one does all, the others nothing
    words : surplus words, by the first of them, that are no mistake (``ff-midas demo``)
    parts : first words that mean another program (``match_grains.py stitch``), and the names of these
    closing : last line on stdout, which scripts look for
    console : where its messages go: "stdout", or "stderr" with the time in front
    """

    names: tuple[str, ...]
    does: str
    uses: str
    examples: tuple[tuple[str, str], ...]
    run: Callable[[argparse.Namespace], StageResult[object] | None]
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    has_short_name: bool = True
    exact: bool = False
    shared: bool = False
    lenient: bool = False
    words: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    closing: str = ""
    console: str = "stdout"

    @property
    def legacy_names(self) -> tuple[str, ...]:
        return self.names[1:] if self.has_short_name else self.names


ARCHIVE = Argument("archive", "the scan, a .MIDAS.zip")
RESULT_FOLDER = Argument(
    "result_folder", "folder of the results; by default the ResultFolder of the archive", str, False
)
BLOCKS = (
    Argument("blockNr", "number of this block, from 0", int, False, True),
    Argument("nBlocks", "number of blocks", int, False, True),
)
N_CPUS = Argument("nCPUs", "threads", int, False, True)
#: of the programs that work on the lines of SpotsToIndex.csv
SEEDS = (
    Argument("paramfile", "normally paramstest.txt"),
    *BLOCKS,
    Argument("nSpotsToIndex", "number of lines of SpotsToIndex.csv", int, False, True),
    N_CPUS,
)
THREADS = Option("--threads", "threads; by default every core that the process may use", int)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


#: of the whole numbers on a command line
_LARGEST = 2**31 - 1


def parser(program: Program, name: str) -> argparse.ArgumentParser:
    """The parser of a program under one of its names; the legacy names insist on all legacy arguments."""
    legacy = name in program.legacy_names
    result = _Parser(
        prog=name,
        description=f"{textwrap.fill(program.does, 100)}\n\n{textwrap.fill(program.uses, 100)}",
        epilog=_epilog(program, name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for argument in program.arguments:
        required = argument.required if argument.legacy_required is None or not legacy else argument.legacy_required
        number = ("+" if required else "*") if argument.several else None if required else "?"
        result.add_argument(argument.name, nargs=number, type=_number_or_text(argument.type), help=argument.help)
    for option in program.options:
        if option.type is bool:
            result.add_argument(option.flag, dest=option.key, action="store_true", help=option.help)
            continue
        result.add_argument(
            option.flag,
            dest=option.key,
            metavar=None if option.choices else option.type.__name__.upper(),
            type=_number_or_text(option.type),
            default=option.default,
            nargs=option.count,
            choices=option.choices,
            help=option.help,
        )
    result.add_argument("-v", "--verbose", action="store_true", help="say more")
    result.add_argument("--version", action="version", version=f"midas {__version__}")
    return result


def _epilog(program: Program, name: str) -> str:
    width = max(len(line) for line, _ in program.examples) + 2
    lines = [f"  {line:<{width}}{purpose}".rstrip() for line, purpose in program.examples]
    others = [other for other in program.names if other != name]
    also = f"\n\nalso called {', '.join(others)}" if others else ""
    return "examples:\n" + "\n".join(lines) + also


def _number_or_text(kind: type) -> Callable[[str], object]:
    def whole(text: str) -> int:
        number = int(text)
        if abs(number) > _LARGEST:
            raise ValueError
        return number

    def finite(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError
        return number

    whole.__name__, finite.__name__ = "whole number", "number"
    readers: dict[type, Callable[[str], object]] = {int: whole, float: finite}
    return readers.get(kind, kind)


def _is_negative(word: str) -> bool:
    try:
        return word.startswith("-") and math.isfinite(float(word))
    except ValueError:
        return False


def parse(program: Program, name: str, argv: Sequence[str]) -> argparse.Namespace:
    """Arguments of a command line; surplus ones are ignored with a warning unless the count must be exact."""
    legacy_flags = {f"-{option.flag}": option.flag for option in program.options}
    # A legacy option is understood with two dashes too; argparse would take -1e-5 for an option, but not " -1e-5".
    words = [f" {word}" if _is_negative(word) else legacy_flags.get(word, word) for word in argv]
    made = parser(program, name)
    # Words of a list may stand before and behind the options.
    several = any(argument.several for argument in program.arguments)
    values, surplus = made.parse_known_intermixed_args(words) if several else made.parse_known_args(words)
    values.words = surplus if surplus[:1] and surplus[0] in program.words else []
    if values.words:
        surplus = []
    if surplus and (program.exact or (surplus[0].startswith("--") and not program.lenient)):
        raise UsageError(f"surplus arguments: {' '.join(surplus)} (see {name} --help)")
    values.surplus = surplus
    return values
