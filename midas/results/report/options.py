"""What the user asks of the page about a layer: the options of ``ff-report``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from midas.runtime.errors import UsageError
from midas.runtime.options import PATH, TEXT, WHOLE, option


@dataclass(frozen=True)
class ReportOptions:
    """Where the page goes and how much is in it."""

    output: Path | None = option("-o", PATH, None, "the page; by default <scan>_report.html in the layer folder")
    montages: int = option(
        "-montages", WHOLE, 12, "so many grains, the largest, the least complete and some others, with raw pixels"
    )
    threads: int | None = option("-nCPUs", WHOLE, None, "threads; by default every core that the process may use")
    archive: str = option(
        "-archive", TEXT, "", "the archive, where the folder has several or an HDF5 file was moved away from it"
    )

    def check_numbers(self) -> None:
        """Those that can be wrong by themselves."""
        if self.montages < 0:
            raise UsageError("must not be negative", key="-montages", value=self.montages)
