"""Holds a component against every rule of its kind."""

from __future__ import annotations

from collections.abc import Iterator

from ddlab.contracts.rules import RULES, Rule
from ddlab.contracts.subject import Subject
from ddlab.contracts.verdict import Verdict, broken, skipped
from ddlab.errors import DdlabError
from ddlab.files import first_line


def check(subject: Subject) -> Iterator[tuple[Rule, Verdict]]:
    """Yield every rule of the subject's kind with its verdict, as they are found.

    An error in the component's own code breaks the first rule that meets one; the rules after it that meet one cannot be checked.
    """
    met = False
    for rule in RULES[subject.kind]:
        try:
            verdict = rule(subject)
        except Exception as error:  # whatever JAX says of a component that it cannot take
            line = str(error) if isinstance(error, DdlabError) else f"{type(error).__name__}: {first_line(error)}"
            verdict = skipped(f"cannot be checked: {line}") if met else broken(line)
            met = True
        yield rule, verdict
