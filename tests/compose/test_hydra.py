"""What Hydra is told: the version of its behaviour, and quoted text."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ddlab.compose.hydra import quoted, unquoted, version_base


@pytest.mark.parametrize(("version", "keyword"), [("1.3.8", {"version_base": "1.3"}), ("1.4.0rc3", {}), ("1.10.0", {})])
def test_hydra_is_told_the_version_of_its_behaviour_where_that_is_not_deprecated(version, keyword):
    assert version_base(version) == keyword


BACKSLASHES = ["a\\b", "a\\\\b", "a\\", "a\\\\", "a\\'b", "\\'", "'", "a'b\\\\'", '"', '\\"', "a b", ""]


@pytest.mark.parametrize("text", BACKSLASHES)
def test_hydra_reads_a_quoted_text_as_it_was(text):
    assert OverridesParser.create().parse_override(f"x={quoted(text)}").value() == text
    assert unquoted(quoted(text)) == text


@pytest.mark.parametrize("text", ["a=b, c's", "dogs'", "'a' or 'b'", "'a','b'", "'a", "a\\b", "'a\\'"])
def test_text_that_is_not_quoted_as_a_whole_is_left_as_it_is(text):
    assert unquoted(text) == text
