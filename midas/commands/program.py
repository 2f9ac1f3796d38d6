"""What a program is: its names, its arguments, its help, and the function that does what they say."""

from __future__ import annotations

import argparse
import difflib
import math
import re
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
    tolerant : options that there are not are ignored with a warning, as the legacy program ignored them
    shared : the processes of an MPI run share its work; of another program the first one does all, the others nothing
    newer : options that the legacy program did not have; an abbreviation that was plain there stays so
    ignored : options of other versions, each with a value, that old scripts give; they have no effect
    words : surplus words, by the first of them, that are no mistake (``ff-midas demo``)
    parts : first words that mean another program (``match_grains.py stitch``), and the names of these
    closing : last line on stdout, which scripts look for
    interrupted : how to go on after Ctrl-C or a signal, as the end of a sentence
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
    tolerant: bool = False
    shared: bool = False
    newer: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    closing: str = ""
    interrupted: str = ""
    console: str = "stdout"

    @property
    def legacy_names(self) -> tuple[str, ...]:
        return self.names[1:] if self.has_short_name else self.names


ARCHIVE = Argument("archive", "the scan, a .MIDAS.zip")
RESULT_FOLDER = Argument(
    "result_folder",
    "folder of the results; by default the ResultFolder of the archive, or its own folder if it was moved",
    str,
    False,
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
ALLOW_PARTIAL = Option(
    "-allowPartial",
    "1: seeds that the stage before has not come to count as not found; 0: they are an error",
    int,
    0,
    choices=(0, 1),
)
#: what those say that keep what is done when they are interrupted
GO_ON = "go on with the same command and -resume 1"
RESUME = Option("-resume", "1: go on where the same command was interrupted; 0: begin anew", int, 0, choices=(0, 1))
LAYER = Option("--folder", "layer folder; by default that of the parameter file")
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
    """Arguments of a command line.

    Surplus words are ignored with a warning unless the count must be exact; an option that there is not is an error.
    """
    given, ignored = _without_ignored(program, argv)
    # argparse would take -1e-5 for an option, but not " -1e-5".
    words = [f" {word}" if _is_negative(word) else _full_option(program, word) for word in given]
    made = parser(program, name)
    # Words of a list may stand before and behind the options.
    several = any(argument.several for argument in program.arguments)
    values, surplus = made.parse_known_intermixed_args(words) if several else made.parse_known_args(words)
    values.words = surplus if surplus[:1] and surplus[0] in program.words else []
    values.name, values.argv, values.surplus = name, list(argv), ignored
    for word in surplus:
        if _OPTION.match(word) and not program.tolerant:
            raise UsageError(_unknown(program, name, word))
    if values.words:
        surplus = []
    if surplus and program.exact:
        raise UsageError(f"surplus arguments: {' '.join(surplus)} (see {name} --help)")
    values.surplus += surplus
    return values


#: a word that can only be meant as an option
_OPTION = re.compile(r"--?[A-Za-z]")


def _without_ignored(program: Program, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without options that have no effect and their values, and those."""
    kept: list[str] = []
    ignored: list[str] = []
    words = iter(argv)
    for word in words:
        if word.partition("=")[0] in program.ignored:
            ignored += [word] if "=" in word else [word, *[value for value in [next(words, None)] if value is not None]]
        else:
            kept.append(word)
    return kept, ignored


def _full_option(program: Program, word: str) -> str:
    """A legacy option with two dashes as one with one; an abbreviation that the legacy program knew in full."""
    start, equals, value = word.partition("=")
    flags = {option.flag for option in program.options}
    if not _OPTION.match(start) or start in flags:
        return word
    for spelling in (start, start[1:]) if start.startswith("--") else (start,):
        legacy = [flag for flag in flags - set(program.newer) if flag.startswith(spelling)]
        full = spelling if spelling in flags else legacy[0] if len(legacy) == 1 else None
        if full is not None:
            return f"{full}{equals}{value}"
    return word


def _unknown(program: Program, name: str, word: str) -> str:
    """What to say about an option that there is not."""
    start = word.partition("=")[0]
    flags = {option.flag.lstrip("-").lower(): option.flag for option in program.options}
    near = difflib.get_close_matches(start.lstrip("-").lower(), flags, 1, 0.6)
    hint = f"; did you mean {flags[near[0]]}?" if near else ""
    return f"there is no option {start}{hint} (see {name} --help)"
