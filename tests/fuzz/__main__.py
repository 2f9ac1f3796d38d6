"""The command line: ``python -m tests.fuzz TARGET --count N --seed S [--jobs J]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.harness import CORPUS, Target, check, fuzz, keep, targets


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    words.add_argument("target", help="name of a target, the first part of several (raw), or all")
    words.add_argument("--count", type=int, default=1000, help="inputs of each target")
    words.add_argument("--seed", type=int, default=1, help="number from which the inputs follow")
    words.add_argument("--first", type=int, default=0, help="number of the first input")
    words.add_argument("--jobs", type=int, default=1, help="processes at a time")
    words.add_argument("--save", type=Path, help="folder for the inputs that were findings (default: the corpus)")
    words.add_argument("--input", type=Path, nargs="+", help="only run these files, and say what they do")
    return words


def main() -> int:
    values = parser().parse_args()
    known = targets()
    names = [n for n in known if values.target in (n, n.partition(":")[0], "all")]
    if not names:
        print(f"no target {values.target}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    return max(_run(known[name], values) for name in names)


def _run(target: Target, values: argparse.Namespace) -> int:
    if values.input:
        findings = check(target, {str(path): path.read_bytes() for path in values.input})
        for finding in findings:
            print(f"{finding.name}: {finding.kind}: {finding.text} [{finding.place}]")
        return 1 if findings else 0
    outcome = fuzz(target, values.count, values.seed, values.jobs, values.first, print)
    print(outcome.report(target.name), flush=True)
    for path in keep(target, outcome, values.seed, values.save or CORPUS / target.name.replace(":", "_")):
        print(f"  kept: {path}")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
