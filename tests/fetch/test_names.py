import pytest

from parsenet.fetch.names import is_junk, pick_by, safe_name


@pytest.mark.parametrize(
    ("name", "plain"),
    [("a/b.txt", "a/b.txt"), ("./a//b.txt", "a/b.txt"), ("a\\b.txt", "a/b.txt"), ("./", "")],
)
def test_name_is_brought_to_its_plain_form(name, plain):
    assert safe_name(name, "x.tar") == plain


def test_dots_inside_a_name_are_fine():
    assert safe_name("a/..b/c...txt", "x.tar") == "a/..b/c...txt"


def test_hidden_files_of_the_data_are_no_junk():
    assert not is_junk("a/.hidden/b.txt")


def test_first_rule_that_matches_counts():
    pick = pick_by({r"(?:.*/)?(a/[^/]+)\.jpg": r"x/\1", r"(.*)\.jpg": r"y/\1"})

    assert [pick("t/a/1.jpg"), pick("b/1.jpg"), pick("a/1.png")] == ["x/a/1", "y/b/1", None]
