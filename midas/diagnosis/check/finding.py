"""What the check says: one sentence about one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from midas.parameters.table import Value
from midas.runtime.errors import MidasError, ParameterError


@dataclass(frozen=True)
class Finding:
    """A mistake, or something that looks like one.

    Parameters
    ----------
    reason : what is wrong and what to do about it
    key : that it is about, as the file spells it
    value : of the key, as the message shows it
    line : of the parameter file
    is_error : whether no run can come to anything with it; else a run goes on
    file : that it is about, if it is another one than the parameter file
    """

    reason: str
    key: str = ""
    value: Value = None
    line: int | None = None
    is_error: bool = True
    file: Path | None = None

    @classmethod
    def of(cls, error: MidasError, source: Path) -> Finding:
        """The finding that an error of the suite is."""
        file = None if error.file is None or Path(error.file) == source else Path(error.file)
        return cls(error.reason, error.key or "", error.value, error.line, file=file)

    def text(self, source: Path) -> str:
        """The line that a user reads about the parameter file or archive `source`."""
        value = " ".join(map(_shown, self.value)) if isinstance(self.value, tuple) else self.value
        value = _shown(value) if isinstance(value, float) else value
        place = self.file or source
        return str(ParameterError(self.reason, file=place, line=self.line, key=self.key or None, value=value))


def _shown(item: Value) -> str:
    return f"{item:.10g}" if isinstance(item, float) else str(item)
