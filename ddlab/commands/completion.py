"""Completion in the shell: of commands, names of sweeps, config keys and options, and the options of figures.

A shell's script hands the line up to the cursor to `ddlab completion words LINE`, and offers the words that come back; where none
do, it offers files.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ddlab.commands import COMMANDS, HYDRA_FLAGS
from ddlab.config import catalog
from ddlab.errors import ConfigError

# In bash `=` parts words, unless the user has taken it from COMP_WORDBREAKS: only what follows it is replaced.
BASH = """\
_ddlab() {
  local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}"
  local last="${line##* }" kept=
  [[ $COMP_WORDBREAKS == *=* ]] && kept="${last%"${last##*=}"}"
  COMPREPLY=($(ddlab completion words "$line" 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"$kept"}")
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
  return 0
}
complete -o default -F _ddlab ddlab
"""

ZSH = """\
_ddlab() {
  local -a found
  found=(${(f)"$(ddlab completion words "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)"})
  (( ${#found} )) || { _default; return }
  compadd -S '' -- ${(M)found:#*[=.]}
  compadd -- ${found:#*[=.]}
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _ddlab ddlab
"""

FISH = """\
function __ddlab_words
  set -l found (ddlab completion words (commandline -cp | string collect) 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c ddlab -e
complete -c ddlab -f -a '(__ddlab_words)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def run(arguments: Sequence[str]) -> int:
    """Print a shell's script, or the words that complete a line."""
    if len(arguments) == 2 and arguments[0] == "words":
        try:
            words = complete(arguments[1])
        except Exception:  # the line is not finished; what is wrong with it is said when it is run
            return 0
        print("".join(f"{word}\n" for word in words), end="")
    elif len(arguments) == 1 and arguments[0] in SCRIPTS:
        print(SCRIPTS[arguments[0]], end="")
    else:
        raise ConfigError(f"ddlab completion: takes the name of a shell; known: {', '.join(SCRIPTS)}")
    return 0


def complete(line: str) -> list[str]:
    """Return the words that the last word of a command line may become."""
    head, _, current = line.rpartition(" ")
    try:
        words = shlex.split(head)[1:]
    except ValueError:  # an open quote
        words = head.split()[1:]
    return sorted({word for word in _candidates(words, current) if word.startswith(current)})


def _candidates(words: Sequence[str], current: str) -> list[str]:
    if not words:
        return list(COMMANDS)
    command, *rest = words
    if current.startswith("-"):
        return _flags(command)
    if command == "check":
        return [*catalog.component_options(), *(_fields(rest[0]) if rest else ())]
    if not rest:
        return _names(command)
    if command in ("plan", "sweep"):
        return _overrides(rest[0], rest[1:], current)
    return _figure_options(rest[0], rest[1:], current) if command == "report" else []


def _flags(command: str) -> list[str]:
    return ["--help", *(HYDRA_FLAGS if command in ("plan", "sweep") else ())]


def _names(command: str) -> list[str]:
    if command in ("plan", "sweep"):
        return list(catalog.sweep_files())
    if command in ("status", "report", "verify"):
        return list(catalog.stored_sweeps())
    return list(SCRIPTS) if command == "completion" else []


def _fields(option: str) -> list[str]:
    """Return the fields of an option such as "model=mlp"; none of a class, which would have to be imported."""
    from ddlab.yaml_files import read_yaml

    files = [directory / f"{option.replace('=', '/', 1)}.yaml" for directory in catalog.search_path()]
    found: dict[str, Any] = next((read_yaml(file) for file in files if file.is_file()), {})
    return [f"{name}=" for name in found if name != "_target_"]


def _overrides(name: str, chosen: Sequence[str], current: str) -> list[str]:
    """Return config keys, or the options of a config group, of a sweep."""
    from ddlab.compose.hydra import LAUNCHERS, compose_file

    path = catalog.find_sweep(name)
    groups = catalog.config_groups([path.parent, *catalog.search_path()])
    options: dict[str, list[str]] = {"hydra/launcher": ["basic", *LAUNCHERS]}
    for group, names in groups.items():
        for name in names:
            options.setdefault(catalog.place(group, name), []).append(name)
    if "=" in current:
        group = current.partition("=")[0]
        return [f"{group}={option}" for option in options.get(group, ())]
    switched = [word for word in chosen if word.partition("=")[0] in groups and "," not in word]
    keys = [
        key for key in compose_file(path, switched) if not key.startswith(("axes.", "claims.")) and not key.endswith("_target_")
    ]
    return [f"{key}=" for key in dict.fromkeys((*keys, *options))]


def _figure_options(name: str, chosen: Sequence[str], current: str) -> list[str]:
    """Return the options of the figures of a stored sweep, those that the line adds included."""
    from ddlab.report.figures import RECIPES
    from ddlab.yaml_files import read_yaml

    figures: Mapping[str, Mapping[str, Any]] = read_yaml(catalog.find_results(name) / "sweep.yaml")["figures"]
    recipes = {f"figures.{figure}": spec.get("recipe", "") for figure, spec in figures.items()}
    for word in (*chosen, current):
        figure, found, value = word.partition(".recipe=")
        if found and value in RECIPES:
            recipes[figure] = value
    new = current.rpartition(".")[0]
    if new.startswith("+figures."):
        recipes.setdefault(new, "")
    if current.partition("=")[0].endswith(".recipe"):
        return [f"{current.partition('=')[0]}={recipe}" for recipe in RECIPES]
    return [word for figure, recipe in recipes.items() for word in _options_of(figure, RECIPES.get(recipe))]


def _options_of(figure: str, recipe: type | None) -> list[str]:
    options = {field.name: str(field.type) for field in fields(recipe)} if recipe else {}
    mappings = [option for option, kind in options.items() if kind.startswith("Mapping")]
    return [f"{figure}.{option}{'.' if option in mappings else '='}" for option in ("recipe", *options)]
