"""The clusters that ``-machineName`` knows, and what to type on them: jobs are started by the user, not by midas."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from midas.runtime.errors import UsageError

#: cores of a node, and nodes where the cluster has a fixed number of them
_MACHINES: dict[str, tuple[int, int | None]] = {
    "orthrosnew": (32, 11),
    "orthrosall": (64, 5),
    "umich": (36, None),
    "marquette": (36, None),
    "purdue": (128, None),
}
LOCAL = "local"
NAMES = (LOCAL, *_MACHINES)

_OWN_OPTIONS = ("-machineName", "-nNodes", "-nCPUs")


def cores(name: str) -> int | None:
    """Cores of a node of the machine; None: this one's."""
    if name == LOCAL:
        return None
    if name not in _MACHINES:
        raise UsageError(f"must be one of {', '.join(NAMES)}", key="-machineName", value=name)
    return _MACHINES[name][0]


def what_to_type(name: str, nodes: int, command: str, argv: Sequence[str]) -> UsageError:
    """The command line that does on the cluster what the user asks for."""
    per_node, fixed = _MACHINES[name]
    if nodes != -1 and nodes < 1:
        return UsageError("must be at least 1", key="-nNodes", value=nodes)
    count = fixed or max(nodes, 1)
    line = shlex.join([command, *_without_own(argv), "-nCPUs", str(per_node)])
    slurm = f"srun --nodes={count} --ntasks={count} --cpus-per-task={per_node} {line}"
    mpi = f"mpirun -n {count} --map-by ppr:1:node:PE={per_node} {line}"
    reason = f"starts no job in this version; in a job of {count} nodes of {per_node} cores type: {slurm}; or: {mpi}"
    return UsageError(reason, key="-machineName", value=name)


def _without_own(argv: Sequence[str]) -> list[str]:
    """The words of a command line without the options that the launcher stands for."""
    kept: list[str] = []
    words = iter(argv)
    for word in words:
        start, equals, _ = word.partition("=")
        start = start[1:] if start.startswith("--") else start
        if len(start) > 2 and any(option.startswith(start) for option in _OWN_OPTIONS):
            if not equals:
                next(words, None)
        else:
            kept.append(word)
    return kept
