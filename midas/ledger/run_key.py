"""The key of a run of a stage: whoever runs it with the same key writes the same bytes (docs/reliability.md#resume)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from midas._version import __version__
from midas.formats.ledger import Stamp
from midas.ledger.content import stamp
from midas.parameters import Parameters
from midas.parameters.readers import READERS
from midas.parameters.table import KEYS, PATH
from midas.runtime.errors import ParameterError


def run_key(stage: str, settings: Parameters, inputs: Iterable[str | os.PathLike[str]], **more: object) -> str:
    """The SHA-256 of all that the results of a stage depend on: 64 hex digits.

    That is the version of the suite, the values of the parameters that the stage declares (`midas.parameters.readers`;
    of a key that names a file only whether it is given), and the content of the input files, under their names without
    folders. Threads, ranks and blocks are not in it. Of files of more than 64 MiB samples and the time of the last
    change stand for the content.

    Parameters
    ----------
    stage : its name in `midas.parameters.readers`
    settings : parameters as the stage reads them
    inputs : files that the stage reads; those that are missing count as missing
    more : whatever else the results depend on; numbers, texts, and arrays of numbers
    """
    stamps = {Path(path).name: stamp(path) for path in inputs}
    return key_of(stage, __version__, declared(stage, settings), stamps, described(more))


def key_of(
    stage: str,
    version: str,
    parameters: Mapping[str, str],
    inputs: Mapping[str, Stamp | None],
    more: Mapping[str, str],
) -> str:
    """The key of what is already in words."""
    contents = {name: None if found is None else found.identity for name, found in inputs.items()}
    parts = (stage, version, *(sorted(part.items()) for part in (parameters, contents, more)))
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()


def declared(stage: str, settings: Parameters) -> dict[str, str]:
    """The values of the parameters that a stage declares, as text; "(default)" follows a value that was not given.

    Paths do not count, since a layer that is moved is the same layer; what is in the files does.
    """
    settings = settings.for_stage(stage)
    given = settings.as_given()
    texts = {}
    for name in sorted(READERS[stage].keys):
        if KEYS[name].kind == PATH:
            if given.get(name):
                texts[name] = "a file"
        elif (text := _text(settings, name, name in given)) is not None:
            texts[name] = text
    return texts


def _text(settings: Parameters, name: str, given: bool) -> str | None:
    """A value as text; None for a key that has none."""
    if given:
        return repr(settings.as_given()[name])
    try:
        value = settings[name]
    except ParameterError:
        return None
    return None if value is None else f"{value!r} (default)"


def described(more: Mapping[str, object]) -> dict[str, str]:
    """What else the results of a stage depend on, as text; of an array its type, shape and hash."""
    texts = {}
    for name, value in more.items():
        if isinstance(value, np.ndarray):
            content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            texts[name] = f"{value.dtype} {value.shape} {content}"
        elif isinstance(value, (bool, int, float, str, tuple, type(None))):
            texts[name] = repr(value)
        else:
            raise TypeError(f"{name} has no text that stands for its value: {type(value)}")
    return texts
