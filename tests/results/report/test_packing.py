"""What goes into the page as numbers comes out of it, and no text of a file leaves its place."""

from __future__ import annotations

import base64
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from midas.results.report.packing import figure_json, packed, quantised, script_json


def test_arrays() -> None:
    for kind, dtype in (("f4", "<f4"), ("i4", "<i4"), ("u1", "u1"), ("i1", "i1")):
        out = packed([1, 2, 3], kind)
        assert out["t"] == kind and np.frombuffer(base64.b64decode(out["b"]), dtype).tolist() == [1, 2, 3]


def test_sixteen_bits() -> None:
    values = np.array([-3.0, np.nan, 0.5, 12.0, np.inf])
    out = quantised(values)
    steps = np.frombuffer(base64.b64decode(out["b"]), "<i2")
    assert steps[1] == steps[4] == -32768 and (steps[[0, 2, 3]] > -32768).all()
    back = out["o"] + out["s"] * steps[[0, 2, 3]]
    assert np.abs(back - [-3.0, 0.5, 12.0]).max() <= 15 / 65534
    for rows in ([], [np.nan], [7.0, 7.0]):
        assert np.isfinite([quantised(rows)["o"], quantised(rows)["s"]]).all()


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "a & b", "\u2028", '"\\'])
def test_nothing_ends_the_element(text: str) -> None:
    out = script_json({text: [text]})
    assert not set("<>&\u2028") & set(out)
    assert json.loads(out) == {text: [text]}


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))
    with pytest.raises(TypeError, match="object in a page"):
        script_json(object())


def test_figures_are_small_and_true() -> None:
    x = np.linspace(0, 1, 1000)
    figure = go.Figure(go.Scatter(x=x, y=[1.0, float("nan"), 3.0], text=["<b>"] * 3))
    figure.update_layout(template="plotly_white", title="a </script>")
    out = figure_json(figure)
    assert len(out) < 7000 and "</script>" not in out
    trace = json.loads(out)["data"][0]
    assert trace["x"]["dtype"] == "f4" and "template" not in json.loads(out)["layout"]
    assert np.allclose(np.frombuffer(base64.b64decode(trace["x"]["bdata"]), "<f4"), x)
    assert trace["y"] == [1.0, None, 3.0]
