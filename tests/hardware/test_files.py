"""Readers that name what is wrong, and JSON that a person can read."""

import json

import pytest

from snnjax.hardware import _files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "here: `c` stands there twice"),
        ('{"a": 1', "here is not JSON, or only a part of it"),
        ("[" * 100_000, "here is not JSON"),
    ],
)
def test_what_is_not_json(text, message):
    with pytest.raises(ValueError, match=message):
        _files.parse(text, lambda content: content, "here")


def test_errors_of_the_builder_name_the_source():
    def build(content):
        raise ValueError("`a` is missing")

    with pytest.raises(ValueError, match="here: `a` is missing\nCorrect it"):
        _files.parse("{}", build, "here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], 'there is no `"format": "me"`'),
        ({"format": "you"}, 'there is no `"format": "me"`'),
        ({"format": "me"}, "`version` must be a whole number of at most 32 bits; got None"),
        ({"format": "me", "version": True}, "`version` must be a whole number .*; got True"),
        ({"format": "me", "version": 9}, "`version` is 9, and this snnjax reads 1, 2: read the"),
    ],
)
def test_formats_and_versions(content, message):
    with pytest.raises(ValueError, match=message):
        _files.require_format(content, "me", (2, 1))
    assert _files.require_format({"format": "me", "version": 2}, "me", (2, 1)) == 2


def test_fields():
    assert _files.fields({"a": 1, "c": 2}, ("a",), "x", optional=("c",)) == {"a": 1, "c": 2}
    with pytest.raises(ValueError, match="`x` lacks b and has unknown c"):
        _files.fields({"a": 1, "c": 2}, ("a", "b"), "x")
    with pytest.raises(ValueError, match="`x` must have the fields a, b; got 3"):
        _files.fields(3, ("a", "b"), "x")


@pytest.mark.parametrize("value", [True, None, 1.0, "1", 2**31, -(2**31) - 1])
def test_whole_numbers(value):
    for end in (2**31 - 1, -(2**31)):
        assert _files.whole(end, "n") == end
        assert list(_files.numbers([[end]], (1, 1), "")) == [end]
    with pytest.raises(ValueError, match="`n` must be a whole number of at most 32 bits"):
        _files.whole(value, "n")
    with pytest.raises(ValueError, match="wanted; got"):
        list(_files.numbers([[value]], (1, 1), "wanted"))


def test_flags_text_and_lists():
    assert _files.flag(True, "f")
    assert _files.text_of("t", "t") == "t"
    assert _files.list_of([1], "l") == [1]
    for read, wrong in ((_files.flag, 1), (_files.text_of, 1), (_files.list_of, "l")):
        with pytest.raises(ValueError, match="`n` must be"):
            read(wrong, "n")


def test_text_that_a_person_can_read():
    value = {"short": [1, 2], "long": list(range(80)), "rows": [[1] * 40, [2] * 40]}
    text = _files.to_text(value)
    assert json.loads(text) == value
    assert '  "short": [1, 2],' in text.splitlines()
    assert len(text.splitlines()) == 8


def test_a_format_that_is_not_there():
    formats = {"a": len, "b": str}
    assert _files.find_format(formats, "b") is str
    with pytest.raises(ValueError, match="`format` must be one of a, b; got 'c'"):
        _files.find_format(formats, "c")
