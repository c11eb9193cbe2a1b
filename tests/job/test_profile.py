"""A profile ends whatever happens to its pack."""

from __future__ import annotations

import pytest

from ddlab.job.profile import Profile


def test_a_pack_that_fails_while_it_is_profiled_does_not_keep_the_next_from_being_profiled(tmp_path):
    def fail():
        with Profile(tmp_path / "failed") as profile:
            profile.follow()
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    with Profile(tmp_path / "next") as profile:
        profile.follow()
    assert [path.suffix for path in (tmp_path / "next").rglob("*.pb")]
