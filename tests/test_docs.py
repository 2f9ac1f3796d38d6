"""What the code and the pages say about each other: every place of the documentation that is named exists."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: a page of the documentation as the code names it, and the heading
CITATION = re.compile(r"docs/((?:theory/)?[a-z_]+\.md)(?:#([\w-]+))?")
#: a link of a page to another page, or to a heading of one
LINK = re.compile(r"\]\(((?:\.\./)?(?:theory/)?[a-z_]*(?:\.md)?)(?:#([\w-]+))?\)")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def files(*suffixes: str) -> list[Path]:
    """The files of the repository; those of a source distribution where there is no repository."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        paths = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [p for room in ("midas", "tests", "benchmarks", "docs") for p in (ROOT / room).rglob("*")]
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def slug(heading: str) -> str:
    """The anchor of a heading, as Sphinx and the web pages of repositories make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    return frozenset(map(slug, HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))))


def unknown(page: Path, heading: str) -> str:
    """What of a place does not exist; "" if it does."""
    if not page.is_file():
        return f"there is no {page.relative_to(ROOT)}"
    return f"{page.relative_to(ROOT)} has no heading {heading}" if heading and heading not in anchors(page) else ""


def test_every_place_that_the_code_names_exists():
    wrong = []
    for path in files(".py", ".pyx", ".pxd", ".md", ".toml", ".yml"):
        if path == Path(__file__):
            continue
        for name, heading in CITATION.findall(path.read_text(encoding="utf-8")):
            if fault := unknown(ROOT / "docs" / name, heading):
                wrong.append(f"{path.relative_to(ROOT)}: {fault}")
    assert not wrong, "\n".join(wrong)


def test_every_link_between_pages_leads_somewhere():
    wrong = []
    for page in files(".md"):
        if page.parent.name not in ("docs", "theory"):
            continue
        for name, heading in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            target = (page.parent / name).resolve() if name else page
            if fault := unknown(target, heading):
                wrong.append(f"{page.relative_to(ROOT)}: {fault}")
    assert not wrong, "\n".join(wrong)


def test_headings_of_a_page_are_unlike_each_other():
    """Equal ones would get numbers, which change when a section moves."""
    for page in files(".md"):
        found = list(map(slug, HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))))
        if page.parent.name == "theory":
            assert len(found) == len(set(found)), f"{page.name}: {sorted(found)}"


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("Nelder-Mead", "nelder-mead"), ("`paramstest.txt`", "paramstesttxt"), ("Names of the scan", "names-of-the-scan")],
)
def test_anchors_are_those_of_sphinx(heading: str, anchor: str):
    assert slug(heading) == anchor
