"""Shell completion of subcommands, sweep names, config keys and group options."""

from __future__ import annotations

from ddlab import catalog
from ddlab.errors import DdlabError

BASH = """\
_ddlab() {
  local IFS=$'\\n'
  COMPREPLY=($(ddlab completion words "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _ddlab ddlab
"""


def complete(line: str) -> list[str]:
    """Return the completions of the last word of a command line (bash: what follows its last `=`)."""
    words = line.split(" ")
    command, current = words[1:-1], words[-1]
    if not command:
        candidates = ["list", "plan", "sweep", "status", "report", "completion"]
    elif len(command) == 1:
        candidates = _names(command[0])
    elif command[0] in ("plan", "sweep"):
        candidates = _overrides(command[1], command[2:], current)
    else:
        candidates = []
    matches = sorted({word for word in candidates if word.startswith(current)})
    break_at = current.rfind("=") + 1
    return [word[break_at:] for word in matches]


def _names(command: str) -> list[str]:
    if command in ("plan", "sweep"):
        return list(catalog.sweep_files())
    if command in ("status", "report", "verify"):
        return [path.parent.name for path in catalog.stored_sweeps()]
    return ["bash"] if command == "completion" else []


def _overrides(name: str, chosen: list[str], current: str) -> list[str]:
    from ddlab.composition import compose_file

    try:
        path = catalog.find_sweep(name)
    except DdlabError:
        return []
    options = catalog.config_groups([path.parent, *catalog.search_path()])
    if "=" in current:
        group = current.split("=")[0]
        return [f"{group}={option}" for option in options.get(group, ())]
    switched = [word for word in chosen if word.split("=")[0] in options and "," not in word]
    keys = [
        key for key in compose_file(path, switched) if not key.startswith(("axes.", "claims.")) and not key.endswith("_target_")
    ]
    return [f"{key}=" for key in (*keys, *options)]
