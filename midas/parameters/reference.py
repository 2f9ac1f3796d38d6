"""The parameter reference of the documentation, printed from the table."""

from __future__ import annotations

from midas.parameters.table import GROUPS, REQUIRED


def reference() -> str:
    """The parameter reference of the documentation, from the table."""
    lines = ["# Parameters", "", "Printed from the table in `midas/parameters/table.py` by `make docs`; do not edit."]
    for title, keys in GROUPS:
        lines += [
            "",
            f"## {title}",
            "",
            "| key | type | unit | default | read by | meaning |",
            "|---|---|---|---|---|---|",
        ]
        for key in keys:
            also = f" (also `{'`, `'.join(key.aliases)}`)" if key.aliases else ""
            size = f" × {key.count}" if key.count > 1 else ""
            kind = f"{key.kind}{size}{' list' if key.is_list else ''}"
            default = "–" if key.default in (REQUIRED, "", ()) else key.default
            choices = f"; one of {', '.join(map(str, key.choices))}" if key.choices else ""
            lines.append(
                f"| `{key.name}`{also} | {kind} | {key.unit} | {default} | {key.stages} | {key.text}{choices} |"
            )
    return "\n".join(lines) + "\n"
