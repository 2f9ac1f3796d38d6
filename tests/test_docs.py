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
    inputs = ROOT / "tests/fuzz/corpus"  # of any bytes
    return [p for p in paths if p.suffix in suffixes and p.is_file() and not p.is_relative_to(inputs)]


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


#: what is not in the repository and what a reader cannot open
OUTSIDE = re.compile(
    r"\.\./shared|\$MIDAS_SHARED|\bspec (?:chapters?|\d\d)\b|\bchapters? 0\d\b|\b0\d §|§ ?\d"
    r"|\b(?:DESIGN|MANUAL)\.md|\bissues? #?\d|\bdefects? [DS]\d|(?:# |\"\"\")D\d\b|(?<![\w.])/(?:work|tmp/w)/",
    re.IGNORECASE,
)
#: the one thing outside that tests may read
LEGACY_RUNS = re.compile(
    r"the\s(?:folder\sof\sthe\s)?legacy\sruns\sin\s`?\$MIDAS_SHARED/golden`?,\sby\sdefault\s`?\.\./shared/golden`?\s"
    r"beside\sthe\scheckout",
    re.IGNORECASE,
)


def test_nothing_cites_what_a_reader_cannot_open():
    wrong = []
    for path in files(".py", ".pyi", ".pyx", ".pxd", ".md", ".toml", ".yml", ".yaml", ".cff", ".txt", ".sh", ".in", ""):
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        if path.name in ("conftest.py", "README.md", "CONTRIBUTING.md", "pyproject.toml"):
            text = LEGACY_RUNS.sub(lambda found: "\n" * found[0].count("\n"), text)
        for number, line in enumerate(text.splitlines(), 1):
            if OUTSIDE.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


#: a test that a page names, below tests/
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", ["legacy-defects.md", "reliability.md", "security.md"])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    """A row that says what shows a defect absent says it of a test that runs."""
    wrong = []
    for file, name in NAMED_TEST.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        path = ROOT / "tests" / file
        if not (name.startswith("test_") and path.is_file() and f"\ndef {name}(" in path.read_text(encoding="utf-8")):
            wrong.append(f"{page}: {file}::{name}")
    assert not wrong, "\n".join(wrong)


def test_promises_name_tests_and_harnesses_that_exist():
    """Nor is anything left to be filled in."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`(tests/[\w/]+(?:\.\w+)?)`", text))
    paths |= {name.replace(".", "/") for name in re.findall(r"python -m (tests\.[\w.]+)", text)}
    missing = [path for path in paths if not ((ROOT / path).exists() or (ROOT / f"{path}.py").exists())]
    assert len(paths) > 10 and missing == []
    assert "@@" not in text
    sections = FENCE.sub("", text).split("\n## ")[1:]
    assert [section for section in sections if not section.partition("\n")[2].strip()] == []


def test_every_defect_of_the_legacy_programs_has_a_test() -> None:
    """Each row of the page's tables says what happened, what happens, and names a test."""
    text = (ROOT / "docs" / "legacy-defects.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if "shown by" not in row[-1]]
    assert len(rows) > 300
    assert [row for row in rows if len(row) != 3 or not NAMED_TEST.search(row[2])] == []


#: where a page says what code a section belongs to, up to the end of the paragraph
CODE = re.compile(r"^\*\*Code:\*\*.*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
CODE_NAME = re.compile(r"`([A-Za-z_][\w.]*)`")


@cache
def source(module: str) -> str:
    """The text of a module with its ``.pxd``, or of a package with all that is directly in it; "" if there is none."""
    path = ROOT.joinpath(*module.split("."))
    texts = [p for suffix in (".py", ".pyx", ".pxd") if (p := path.with_suffix(suffix)).is_file()]
    texts += sorted(p for p in path.glob("*.p*") if p.suffix in (".py", ".pyx", ".pxd"))
    return "\n".join(p.read_text(encoding="utf-8") for p in texts)


def defines(text: str, name: str) -> bool:
    """Whether a module's text defines a function, class, struct, constant or attribute of that name."""
    return bool(
        re.search(
            rf"^ *(?:async )?(?:def|class) {name}\b"  # Python
            rf"|^ *(?:cdef|cpdef|ctypedef) (?:[^\n(=]*[ *])?{name}\b"  # functions, structs, enums, attributes of Cython
            rf"|^(?:\w+, )*{name}(?:, \w+)*(?:: [^\n=]+)? = "  # constants
            rf"|^    {name}: "  # fields of data classes
            rf"|^    const \w+ {name} \"",  # constants of C
            text,
            re.MULTILINE,
        )
    )


def places(dotted: str) -> tuple[str, str]:
    """The longest module at the beginning of a dotted name, and what is left of the name."""
    module, rest = dotted, ""
    while module and not source(module):
        module, _, last = module.rpartition(".")
        rest = f"{last}.{rest}" if rest else last
    return module, rest


def test_every_name_in_a_code_line_is_defined_where_the_page_says():
    """Full names in their module; short ones in one of the modules that the same line names."""
    wrong = []
    for page in sorted((ROOT / "docs" / "theory").glob("*.md")):
        for line in CODE.findall(page.read_text(encoding="utf-8")):
            named = [places(name) if name.startswith("midas.") else ("", name) for name in CODE_NAME.findall(line)]
            modules = {module for module, _ in named if module}
            for module, name in named:
                texts = [source(m) for m in ({module} if module else modules)]
                if not module and any(source(f"{m}.{name}") for m in modules):
                    continue  # a module of a package
                if not all(any(defines(text, part) for text in texts) for part in name.split(".") if part):
                    wrong.append(f"{page.name}: {module or ', '.join(sorted(modules))}: {name}")
    assert not wrong, "\n".join(wrong)


def test_the_modules_that_the_theory_names_cite_it():
    """So that a search leads either way; what all programs share is named by the page of conventions only."""
    wrong = set()
    for page in (ROOT / "docs" / "theory").glob("*.md"):
        for line in CODE.findall(page.read_text(encoding="utf-8")):
            for name in CODE_NAME.findall(line):
                module = places(name)[0]
                if module and page.stem != "conventions" and "docs/" not in source(module):
                    wrong.add(f"{page.name}: {module}")
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("Nelder-Mead", "nelder-mead"), ("`paramstest.txt`", "paramstesttxt"), ("Names of the scan", "names-of-the-scan")],
)
def test_anchors_are_those_of_sphinx(heading: str, anchor: str):
    assert slug(heading) == anchor
