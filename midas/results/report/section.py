"""What a section of the page is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: height of a figure that does not say
_HEIGHT = 420


@dataclass(frozen=True)
class Drawing:
    """A figure of plotly that is drawn when it comes into view.

    Parameters
    ----------
    name : of its place in the page: letters, digits, dashes
    figure : `plotly.graph_objects.Figure`
    caption : what it shows and what to make of it
    label : what it shows, for those who cannot see it
    """

    name: str
    figure: Any
    caption: str = ""
    label: str = ""

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.figure.layout.height or _HEIGHT)


@dataclass(frozen=True)
class PageTable:
    """A small table.

    Parameters
    ----------
    title : above it
    heads : of the columns; empty without them
    rows : their cells
    numbers : whether all but the first column are numbers, and not sentences
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    name : by which links find it
    title : heading
    intro : what it is good for
    drawings, tables : in it
    template : that lays it out
    values : what this template needs beside
    data : arrays for the script, by name
    """

    name: str
    title: str
    intro: str = ""
    drawings: Sequence[Drawing] = ()
    tables: Sequence[PageTable] = ()
    template: str = "figures.html.j2"
    values: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)
