"""`ddlab check`: holds components against the rules that every component keeps."""

from __future__ import annotations

import inspect
import os
import sys
from collections import Counter
from collections.abc import Sequence

import rich.box
from rich.console import Console
from rich.status import Status as StatusLine
from rich.table import Table

from ddlab.config import catalog
from ddlab.contracts import RULES, Status, Verdict, check, compose_subject
from ddlab.contracts.rules import Rule
from ddlab.contracts.subject import DATA, Subject
from ddlab.errors import ComponentError, DdlabError
from ddlab.job import signals

STYLES = {Status.KEPT: "green", Status.BROKEN: "bold red", Status.SKIPPED: "dim"}
Verdicts = list[tuple[Rule, Verdict]]


def run(arguments: Sequence[str]) -> int:
    """Check one component, or every option; return 1 where a rule is broken, else 0."""
    return check_one(arguments[0], arguments[1:]) if arguments else check_options()


def check_one(name: str, words: Sequence[str]) -> int:
    """Print every rule for a component with its verdict; return 1 where one is broken, else 0.

    Args:
        name: dotted name of a class, or an option such as "model=mlp".
        words: values of its fields, and overrides of the trial that it is tried in.
    """
    subject = compose_subject(name, words)
    verdicts = _verdicts(subject)
    console = _console()
    console.print(f"{name} ({subject.kind}){_partners(subject)}", soft_wrap=True)
    console.print(_table(verdicts))
    console.print(_counted(verdicts))
    return _exit_status(verdicts)


def check_options() -> int:
    """Print one line for each option of the config groups, each broken rule below it; return 1 where one is broken, else 0."""
    console, status = _console(), 0
    names = catalog.component_options()
    width = max(map(len, names))
    for name in names:
        try:
            subject = compose_subject(name)
        except DdlabError as error:
            console.print(f"{name:{width}}  not checked: {error}", soft_wrap=True)
            status = max(status, int(isinstance(error, ComponentError)))
            continue
        verdicts = _verdicts(subject)
        console.print(f"{name:{width}}  {_counted(verdicts)}")
        if _exit_status(verdicts):
            status = 1
            console.print(_table([(rule, verdict) for rule, verdict in verdicts if verdict.status is Status.BROKEN]))
    console.print("\nNext: ddlab check model=mlp says every rule; ddlab check mine.MyModel checks one of your own")
    return status


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _verdicts(subject: Subject) -> Verdicts:
    """Return what every rule says; a terminal shows meanwhile how far it is."""
    found: Verdicts = []
    with _status_line() as line:
        line.update(f"{subject.name}: trying it out ...")
        for each in check(subject):
            signals.check()
            found.append(each)
            line.update(f"{subject.name}: {len(found)} of {len(RULES[subject.kind])} rules ...")
    return found


def _status_line() -> StatusLine:
    """Return a line that is shown where standard error is a terminal."""
    quiet = not sys.stderr.isatty() or os.environ.get("TERM") == "dumb"
    return Console(stderr=True, highlight=False, markup=False, quiet=quiet).status("")


def _partners(subject: Subject) -> str:
    """Return in words what the component is tried with; a data set needs nothing."""
    others = [key for key in ("data", "model", "optimizer") if key != subject.key]
    names = [subject.leaves[f"{key}._target_"].removeprefix("ddlab.") for key in others]
    return "" if subject.kind == DATA else f", tried with {', '.join(names)}"


def _table(verdicts: Verdicts) -> Table:
    table = Table("verdict", "rule", box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for rule, verdict in verdicts:
        text = (inspect.getdoc(rule) or "").partition("\n")[0]
        table.add_row(verdict.status.value, "\n".join(filter(None, [text, verdict.reason])), style=STYLES[verdict.status])
    return table


def _counted(verdicts: Verdicts) -> str:
    counts = Counter(verdict.status for _, verdict in verdicts)
    words = {Status.KEPT: "kept", Status.BROKEN: "broken", Status.SKIPPED: "not applicable"}
    return ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status])


def _exit_status(verdicts: Verdicts) -> int:
    return int(any(verdict.status is Status.BROKEN for _, verdict in verdicts))
