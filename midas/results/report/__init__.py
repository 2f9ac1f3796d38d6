"""One page about the grains of a layer that opens in any browser, without a network (docs/report.md)."""

from midas.results.report.page import page, write
from midas.results.report.source import PageOptions

__all__ = ["PageOptions", "page", "write"]
