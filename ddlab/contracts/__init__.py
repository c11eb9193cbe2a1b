"""The rules that every component keeps, as checks that run: `ddlab check` for a user's own, the tests for every shipped option.

A rule is a function of a `Subject`, a tiny trial built around the component; what it finds is a `Verdict`.
"""

from ddlab.contracts.check import check
from ddlab.contracts.compose import compose_subject
from ddlab.contracts.rules import RULES
from ddlab.contracts.verdict import Status, Verdict

__all__ = ["RULES", "Status", "Verdict", "check", "compose_subject"]
