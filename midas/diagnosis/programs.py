"""What the programs of the stages say when they find nothing (docs/theory/diagnosis.md#failures).

The diagnosis is imported when it is needed, so that a stage that finds something does not wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.errors import MidasError, NothingFoundError, StageError

log = logging.getLogger(__name__)


@contextmanager
def explained(layer: Layer, parameters: Parameters, threads: int) -> Iterator[None]:
    """A stage by itself: when it finds nothing, the error says why, and the numbers are messages before it."""
    try:
        yield
    except NothingFoundError as error:
        from midas.diagnosis.failure import diagnose

        try:
            found = diagnose(layer, parameters, threads)
        except MidasError:  # of files that are not there
            raise error from None
        found.say()
        raise StageError(f"{error.nothing}: {found.causes[0]}", file=error.file) from None


def warn(layer: Layer, paramstest: Parameters, threads: int, nothing: str) -> None:
    """A stage by itself that knows paramstest.txt only, and ends well without having found anything."""
    from midas.diagnosis.failure import diagnose

    try:
        found = diagnose(layer, paramstest, threads, completeness_key="MinMatchesToAcceptFrac", paramstest=paramstest)
    except MidasError as error:
        log.info("no diagnosis: %s", error)
        return
    found.say()
    log.warning("%s: %s", nothing, found.causes[0])
