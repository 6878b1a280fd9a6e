import pytest

from parsenet.inference.sources import SUFFIXES, Source, find_pictures


@pytest.fixture
def touch(tmp_path):
    """Return a function that makes empty files below `tmp_path`; sources never open a picture."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return make


def names(sources):
    return [source.name for source in sources.found]


def test_file_is_named_after_its_stem(tmp_path, touch):
    touch("a.b.jpg")

    assert find_pictures([tmp_path / "a.b.jpg"]).found == [Source(tmp_path / "a.b.jpg", "a.b")]


def test_file_with_an_unknown_ending_is_taken_when_it_is_named(tmp_path, touch):
    touch("photo.xyz")

    assert names(find_pictures([tmp_path / "photo.xyz"])) == ["photo"]


def test_folder_gives_its_pictures_in_natural_order(tmp_path, touch):
    touch("img10.png", "img2.JPG", "img1.png", "b7.png")

    assert names(find_pictures([tmp_path])) == ["b7", "img1", "img2", "img10"]


def test_folder_leaves_out_what_is_no_picture(tmp_path, touch):
    touch("a.jpg", "notes.txt", "._a.jpg", "sub/c.jpg")

    assert names(find_pictures([tmp_path])) == ["a"]


def test_recursive_folder_keeps_subfolders_in_the_names(tmp_path, touch):
    touch("x.jpg", "a/x.jpg", "b/c/x.jpg")

    found = names(find_pictures([tmp_path], recursive=True))

    assert sorted(found) == ["a/x", "b/c/x", "x"]


def test_results_inside_the_folder_are_no_inputs(tmp_path, touch):
    touch("x.jpg", "out/x.png", "out/overlay/x.jpg")

    found = find_pictures([tmp_path], recursive=True, exclude=tmp_path / "a" / ".." / "out")

    assert names(found) == ["x"]


def test_pictures_beside_their_results_are_inputs(tmp_path, touch):
    touch("x.jpg")

    assert names(find_pictures([tmp_path], exclude=tmp_path)) == ["x"]


def test_pattern_gives_its_matches_in_natural_order(tmp_path, touch):
    touch("a10.jpg", "a9.jpg", "b1.jpg")

    assert names(find_pictures([tmp_path / "a*.jpg"])) == ["a9", "a10"]


def test_pattern_with_two_stars_goes_into_subfolders(tmp_path, touch):
    touch("a/x.jpg", "b/c/y.jpg")

    assert names(find_pictures([f"{tmp_path}/**/*.jpg"])) == ["x", "y"]


def test_file_with_brackets_in_its_name_is_no_pattern(tmp_path, touch):
    touch("a[1].jpg")

    assert names(find_pictures([tmp_path / "a[1].jpg"])) == ["a[1]"]


def test_inputs_keep_their_order(tmp_path, touch):
    touch("z.jpg", "a.jpg")

    assert names(find_pictures([tmp_path / "z.jpg", tmp_path / "a.jpg"])) == ["z", "a"]


def test_picture_given_twice_is_taken_once(tmp_path, touch):
    touch("a.jpg")

    sources = find_pictures([tmp_path / "a.jpg", tmp_path, tmp_path / "*.jpg"])

    assert (names(sources), sources.wrong) == (["a"], {})


def test_two_pictures_of_one_name_are_told_apart(tmp_path, touch):
    touch("a/x.jpg", "b/x.png")
    first, second = tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.png"

    sources = find_pictures([first, second])

    assert sources.wrong == {
        str(second): f"'{second}' must have a name of its own, got 'x' as '{first}' has. Rename "
        "it, or predict it in a second run with another `--out`."
    }


def test_first_of_two_pictures_of_one_name_is_found(tmp_path, touch):
    touch("a/x.jpg", "b/x.png")

    sources = find_pictures([tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.png"])

    assert sources.found == [Source(tmp_path / "a" / "x.jpg", "x")]


def test_misspelt_file_gets_a_proposal(tmp_path, touch):
    touch("photo.jpg")
    given = str(tmp_path / "phto.jpg")

    assert find_pictures([given]).wrong == {
        given: f"'{given}' must be a picture, a folder or a pattern, got nothing there. Did you "
        f"mean '{tmp_path / 'photo.jpg'}'?"
    }


def test_missing_folder_is_named(tmp_path):
    given = str(tmp_path / "nowhere" / "a.jpg")

    assert find_pictures([given]).wrong == {
        given: f"'{given}' must be a picture, a folder or a pattern, got nothing there. Check the "
        "spelling."
    }


def test_folder_without_pictures_hints_at_subfolders(tmp_path, touch):
    touch("sub/a.jpg")

    assert find_pictures([tmp_path]).wrong == {
        str(tmp_path): f"'{tmp_path}' must hold pictures ({', '.join(SUFFIXES)}), got none. Add "
        "`--recursive` for its subfolders."
    }


def test_pattern_without_a_match_is_named(tmp_path):
    given = f"{tmp_path}/*.jpg"

    assert find_pictures([given]).wrong == {
        given: f"'{given}' must match a file, got none. Check the pattern."
    }


def test_name_that_no_system_can_hold_is_named():
    given = "n" * 5000

    assert find_pictures([given]).wrong == {
        given: f"'{given}' must be readable, got 'File name too long'. Check its name and rights."
    }


def test_wrong_input_does_not_hide_the_others(tmp_path, touch):
    touch("a.jpg")

    assert names(find_pictures([tmp_path / "b.jpg", tmp_path / "a.jpg"])) == ["a"]
