"""``midas_log/run.json``: how the results of a layer came about (docs/formats.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes, readable, write_atomic

_KIND = "midas run record 1"


@dataclass(frozen=True)
class Input:
    """A file that went in.

    Parameters
    ----------
    role : parameters, raw, dark, archive, grains, spots, ...
    path : of the file, or of the first of several that belong together
    size : bytes of all of them
    sha256 : of their content
    of : what of the content: whole, samples, members (see `midas.runtime.provenance`)
    files : how many
    """

    role: str
    path: str
    size: int
    sha256: str
    of: str = "whole"
    files: int = 1


@dataclass(frozen=True)
class StepRecord:
    """A step that has run.

    Parameters
    ----------
    name : of its logs
    seconds : that it took
    counts : what it found
    date : of the run that it was part of; a run that starts from what is there keeps the steps that made it
    """

    name: str
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    date: str = ""


@dataclass(frozen=True)
class RunRecord:
    """How the results of a layer came about.

    Parameters
    ----------
    program, version : that ran
    date : when it began; UTC, ISO 8601
    command_line : how it was called
    parameter_hash : SHA-256 of the parameters of the analysis, without paths and names of files
    inputs : what went in
    threads : of every process
    ranks : processes
    steps : in the order in which they ran
    warnings : that the user was given
    origins : where the value of each parameter comes from: option, file, archive or default
    failure : why the run ended early; "" if it did not, or not yet
    """

    program: str
    version: str
    date: str
    command_line: str
    parameter_hash: str
    inputs: tuple[Input, ...] = ()
    threads: int = 1
    ranks: int = 1
    steps: tuple[StepRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""

    def changed(self, **values: Any) -> RunRecord:
        """The record with other values of some fields."""
        return replace(self, **values)

    def step(self, name: str) -> StepRecord | None:
        """The step of that name, if it has run."""
        return next((step for step in self.steps if step.name == name), None)

    def text(self) -> bytes:
        """The content of the file."""
        return (readable(json.dumps({"kind": _KIND, **asdict(self)}, indent=1, ensure_ascii=False)) + "\n").encode()

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file, complete or not at all."""
        write_atomic(path, self.text())


def read_run_record(path: str | os.PathLike[str]) -> RunRecord | None:
    """The record in a file, or in a layer folder; None where there is none.

    Raises
    ------
    FormatError : the file is no such record
    """
    path = Path(path)
    path = path / "midas_log" / "run.json" if path.is_dir() else path
    if not path.exists():
        return None
    try:
        values = json.loads(read_bytes(path))
        if values.pop("kind") != _KIND:
            raise ValueError
        values["inputs"] = tuple(Input(**item) for item in values["inputs"])
        values["steps"] = tuple(StepRecord(**item) for item in values["steps"])
        values["warnings"] = tuple(values["warnings"])
        return RunRecord(**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FormatError("is no run record; remove it, and run ff-midas again for another", file=path) from None
