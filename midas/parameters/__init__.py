"""Every key that a user can give: one table, one parser, one mapping to and from the archive."""

from midas.parameters.parser import ANALYSIS, SCAN, SENTINELS, Parameters

__all__ = ["ANALYSIS", "SCAN", "SENTINELS", "Parameters"]
