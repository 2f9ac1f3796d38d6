"""The check of a parameter file against itself, the crystal, the detector and the scan, before anything is written.

See docs/check.md. Every check is a function of a `Subject` that yields `Finding`s; each concern is a module.
"""

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.report import Report, before_run, examine
from midas.diagnosis.check.request import PEAK_SEARCH, SPOT_TABLE, WHOLE_ANALYSIS, Request

__all__ = ["PEAK_SEARCH", "SPOT_TABLE", "WHOLE_ANALYSIS", "Finding", "Report", "Request", "before_run", "examine"]
