"""``midas_log/ledger.json``: what each step of a layer ran with (docs/formats.md)."""

from __future__ import annotations

from dataclasses import dataclass

from midas.runtime.provenance import SAMPLES, WHOLE


@dataclass(frozen=True)
class Stamp:
    """What a file holds, or several that belong together.

    Parameters
    ----------
    size : bytes of all of them
    mtime_ns : when the newest of them was changed last, nanoseconds since 1970
    sha256 : of their content
    of : what of the content: whole, samples, members (see `midas.runtime.provenance`)
    files : how many
    """

    size: int
    mtime_ns: int
    sha256: str
    of: str = WHOLE
    files: int = 1

    @property
    def identity(self) -> str:
        """The same for the same content; of content that is only sampled, the time of the last change is part of it."""
        return f"{self.sha256} {self.mtime_ns}" if self.of == SAMPLES else self.sha256
