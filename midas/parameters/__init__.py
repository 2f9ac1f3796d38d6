"""Every key that a user can give: one table, one parser, one mapping to and from the archive, and who reads what."""

from midas.parameters.archive_mapping import ANALYSIS, SCAN, SENTINELS
from midas.parameters.values import Parameters

__all__ = ["ANALYSIS", "SCAN", "SENTINELS", "Parameters"]
