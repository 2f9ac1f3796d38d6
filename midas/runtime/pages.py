"""Pages that open in any browser, without a network: what they all have in common."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

_STYLE = "body{font-family:sans-serif;margin:2em;max-width:1300px}"


def document(title: str, style: str, body: str) -> str:
    """A page.

    Parameters
    ----------
    title : text, also the heading
    style : rules beside those of every page
    body : HTML behind the heading
    """
    title = html.escape(title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}{style}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    )


def drawings(figures: Sequence[go.Figure]) -> str:
    """Figures below each other, the first one with the code that draws all of them.

    Their names are not made at random, so that the same result is the same page.
    """
    return "\n".join(
        figure.to_html(
            full_html=False,
            include_plotlyjs=i == 0,
            default_height=f"{figure.layout.height}px",
            div_id=f"figure{i + 1}",
        )
        for i, figure in enumerate(figures)
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
