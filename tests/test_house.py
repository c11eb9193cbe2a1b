"""The tests keep house."""

from __future__ import annotations

import re
from pathlib import Path


def test_no_test_imports_another():
    tests = [
        path for path in Path(__file__).parent.rglob("*.py") if re.search(r"^(from|import) .*\btest_", path.read_text(), re.M)
    ]
    assert tests == []
