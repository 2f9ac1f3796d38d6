"""One page about the grains of a layer that opens in any browser, without a network (docs/report.md).

The options of ``ff-report`` are here, too, and its help has to answer at once: the page is imported when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas.runtime.lazy import names_of

if TYPE_CHECKING:
    from midas.results.report.page import write
    from midas.results.report.source import PageOptions

__all__ = ["PageOptions", "write"]

__getattr__, __dir__ = names_of(__name__, {"page": "write", "source": "PageOptions"})
