"""YAML from anywhere: plain data is read, what would take endless memory or time is refused."""

from __future__ import annotations

import pytest
import yaml

from ddlab.yaml_files import load_yaml, read_yaml

BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))

REFUSED = {
    "lists without end": ("[" * 2000, "50 deep"),
    "mappings without end": ("{" * 500, "50 deep"),
    "deep by an alias": (f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 20}*a{']' * 20}", "line 2: lists and mappings lie more than 50"),
    "a list in itself": ("x: &a [*a]", "*a stands within"),
    "a mapping in itself": ("x: &a {b: *a}", "*a stands within"),
    "an alias bomb": (BOMB, "repeat more than 100,000"),
    "a long integer": (f"x: {'9' * 5000}", "5,000 digits"),
    "a long integer by its tag": (f"x: !!int '{'9' * 5000}'", "5,000 digits"),
    "month 13": ("x: 2026-13-01", "month"),
    "Python": ("x: !!python/object:os.system {}", "constructor"),
    "an unknown alias": ("x: *a", "undefined alias"),
    "two documents": ("a: 1\n---\nb: 2", "single document"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_yaml_is_refused(case):
    text, expected = REFUSED[case]
    with pytest.raises(yaml.YAMLError) as error:
        load_yaml(text)
    assert expected in str(error.value)


def test_plain_yaml_is_read():
    assert load_yaml("\ufeffa: &a [1, 2]\nb: [*a, *a]\nc: {<<: {d: 1}}") == {"a": [1, 2], "b": [[1, 2], [1, 2]], "c": {"d": 1}}
    assert load_yaml(f"hash: {'0f' * 500}q\ntext: '{'9' * 5000}'")["text"] == "9" * 5000
    assert load_yaml("[" * 50 + "]" * 50)
    assert len(load_yaml(f"[{','.join(['1'] * 1000)}]")) == 1000
    assert load_yaml("") is None


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("title: Größe".encode("latin-1"))
    with pytest.raises(yaml.YAMLError, match="UTF-8"):
        read_yaml(tmp_path / "latin.yaml")
