"""Figures of results: functions that return plotly figures, for pages and notebooks."""
