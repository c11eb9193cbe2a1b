"""`ddlab list`: the sweeps that there are."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

import yaml

from ddlab.config import catalog
from ddlab.errors import ConfigError
from ddlab.yaml_files import read_yaml


def run(arguments: Sequence[str]) -> int:
    """Print name, paper and what it shows of each sweep."""
    if arguments:
        raise ConfigError(f"ddlab list: takes no arguments; got '{arguments[0]}'")
    for name, path in catalog.sweep_files().items():
        try:
            head = read_yaml(path)
        except yaml.YAMLError:
            head = None
        if not isinstance(head, dict):
            print(f"ddlab: {path}: not a sweep (not a YAML mapping), left out", file=sys.stderr)
            continue
        more = " and a second round" if head.get("refine") else ""
        print(name + (f"  ({head['trials']} trials{more}, {head.get('minutes', '?')} min)" if head.get("trials") else ""))
        for key in [key for key in ("title", "paper", "shows") if head.get(key) and (key != "title" or not head.get("shows"))]:
            print(textwrap.fill(str(head.get(key, "")), 96, initial_indent=f"    {key}: ", subsequent_indent=" " * 11))
    print("\nmin: wall minutes on 2 CPU cores. Next: ddlab plan NAME")
    return 0
