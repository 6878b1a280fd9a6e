import io

import pytest

from parsenet.data.reading import IMAGE_SUFFIXES
from parsenet.inference.inputs import Input, find_inputs


@pytest.fixture
def touch(tmp_path):
    """Return a function that makes empty files below `tmp_path`; inputs never open an image."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return make


def names(inputs):
    return [source.name for source in inputs.found]


def test_file_is_named_after_its_stem(tmp_path, touch):
    touch("a.b.jpg")

    assert find_inputs([tmp_path / "a.b.jpg"]).found == [Input(tmp_path / "a.b.jpg", "a.b")]


def test_file_with_an_unknown_ending_is_taken_when_it_is_named(tmp_path, touch):
    touch("photo.xyz")

    assert names(find_inputs([tmp_path / "photo.xyz"])) == ["photo"]


def test_folder_gives_its_images_in_natural_order(tmp_path, touch):
    touch("img10.png", "img2.JPG", "img1.png", "b7.png")

    assert names(find_inputs([tmp_path])) == ["b7", "img1", "img2", "img10"]


def test_folder_leaves_out_what_is_no_image(tmp_path, touch):
    touch("a.jpg", "notes.txt", "._a.jpg", "sub/c.jpg")

    assert names(find_inputs([tmp_path])) == ["a"]


def test_recursive_folder_keeps_subfolders_in_the_names(tmp_path, touch):
    touch("x.jpg", "a/x.jpg", "b/c/x.jpg")

    found = names(find_inputs([tmp_path], recursive=True))

    assert sorted(found) == ["a/x", "b/c/x", "x"]


def test_results_inside_the_folder_are_no_inputs(tmp_path, touch):
    touch("x.jpg", "out/x.png", "out/overlay/x.jpg")

    found = find_inputs([tmp_path], recursive=True, exclude=tmp_path / "a" / ".." / "out")

    assert names(found) == ["x"]


def test_images_beside_their_results_are_inputs(tmp_path, touch):
    touch("x.jpg")

    assert names(find_inputs([tmp_path], exclude=tmp_path)) == ["x"]


def test_pattern_gives_its_matches_in_natural_order(tmp_path, touch):
    touch("a10.jpg", "a9.jpg", "b1.jpg")

    assert names(find_inputs([tmp_path / "a*.jpg"])) == ["a9", "a10"]


def test_pattern_with_two_stars_goes_into_subfolders(tmp_path, touch):
    touch("a/x.jpg", "b/c/y.jpg")

    assert names(find_inputs([f"{tmp_path}/**/*.jpg"])) == ["x", "y"]


def test_file_with_brackets_in_its_name_is_no_pattern(tmp_path, touch):
    touch("a[1].jpg")

    assert names(find_inputs([tmp_path / "a[1].jpg"])) == ["a[1]"]


def test_inputs_keep_their_order(tmp_path, touch):
    touch("z.jpg", "a.jpg")

    assert names(find_inputs([tmp_path / "z.jpg", tmp_path / "a.jpg"])) == ["z", "a"]


def test_image_given_twice_is_taken_once(tmp_path, touch):
    touch("a.jpg")

    inputs = find_inputs([tmp_path / "a.jpg", tmp_path, tmp_path / "*.jpg"])

    assert (names(inputs), inputs.wrong) == (["a"], {})


def test_second_of_two_images_of_one_name_gets_its_folder_in_front(tmp_path, touch):
    touch("a/x.jpg", "b/x.png")

    inputs = find_inputs([tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.png"])

    assert (names(inputs), inputs.wrong) == (["x", "b_x"], {})


def test_images_that_differ_in_their_ending_get_it_behind(tmp_path, touch):
    touch("a/x.jpg", "a/x.png", "a/x.tif")

    assert names(find_inputs([tmp_path / "a"])) == ["x", "a_x", "x_tif"]


def test_names_that_are_taken_are_numbered():
    given = ["http://a.org/x.jpg", "http://b.org/x.jpg", "http://c.org/x.jpg"]

    assert names(find_inputs(given)) == ["x", "x_2", "x_3"]


def test_image_never_takes_the_name_of_a_folder_of_results(tmp_path, touch):
    touch("overlay/x.jpg", "entropy/deep/x.jpg")

    found = names(find_inputs([tmp_path], recursive=True))

    assert found == ["entropy_/deep/x", "overlay_/x"]


@pytest.mark.parametrize(
    ("given", "name", "kind"),
    [
        ("https://a.org/b/cat%20one.jpg?size=3", "cat_one", "address"),
        ("HTTP://a.org/", "image", "address"),
    ],
)
def test_what_is_no_file_is_known_by_its_form(given, name, kind):
    assert find_inputs([given]).found == [Input(given, name, kind)]


def test_named_video_is_a_video(tmp_path, touch):
    touch("clip.MP4")

    assert find_inputs([tmp_path / "clip.MP4"]).found[0].kind == "video"


def test_videos_in_a_folder_are_left_out(tmp_path, touch):
    touch("clip.mp4", "a.jpg")

    assert names(find_inputs([tmp_path])) == ["a"]


def test_list_gives_its_lines(tmp_path, touch):
    touch("a.jpg", "b.jpg")
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\n{tmp_path}/b.jpg\n\n  a.jpg  \r\n")

    assert names(find_inputs([f"@{listed}"])) == ["b", "a"]


def test_list_may_come_from_standard_input(tmp_path, touch, monkeypatch):
    touch("a.jpg")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{tmp_path}/a.jpg\n"))

    assert names(find_inputs(["@-"])) == ["a"]


def test_missing_line_of_a_list_is_named(tmp_path, touch):
    touch("a.jpg")
    (tmp_path / "list.txt").write_text("a.jpg\nnone.jpg\n")

    inputs = find_inputs([f"@{tmp_path}/list.txt"])

    assert (names(inputs), list(inputs.wrong)) == (["a"], ["none.jpg"])


def test_missing_list_is_named():
    assert find_inputs(["@none.txt"]).wrong == {
        "@none.txt": "'@none.txt' must name a text file with one input per line, got 'No such file "
        "or directory'. Check its path."
    }


def test_image_in_place_of_a_list_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    given = f"@{tmp_path}/a.jpg"

    assert list(find_inputs([given]).wrong) == [given]


def test_empty_list_is_named(tmp_path):
    (tmp_path / "list.txt").write_text("# nothing\n")
    given = f"@{tmp_path}/list.txt"

    assert find_inputs([given]).wrong == {
        given: f"'{given}' must list inputs, one per line, got none."
    }


def test_file_that_begins_with_an_at_sign_is_a_image(tmp_path, touch, monkeypatch):
    touch("@a.jpg")
    monkeypatch.chdir(tmp_path)

    assert names(find_inputs(["@a.jpg"])) == ["@a"]


@pytest.mark.parametrize("given", ["file:///etc/passwd", "ftp://a.org/x.jpg"])
def test_other_schemes_are_refused(given):
    scheme = given.partition(":")[0]

    assert find_inputs([given]).wrong == {
        given: f"'{given}' must start with http:// or https://, got '{scheme}'. Download it."
    }


def test_misspelt_file_gets_a_proposal(tmp_path, touch):
    touch("photo.jpg")
    given = str(tmp_path / "phto.jpg")

    assert find_inputs([given]).wrong == {
        given: f"'{given}' must be an image, a folder or a pattern, got nothing there. Did you "
        f"mean '{tmp_path / 'photo.jpg'}'?"
    }


def test_missing_folder_is_named(tmp_path):
    given = str(tmp_path / "nowhere" / "a.jpg")

    assert find_inputs([given]).wrong == {
        given: f"'{given}' must be an image, a folder or a pattern, got nothing there. Check the "
        "spelling."
    }


def test_folder_without_images_hints_at_subfolders(tmp_path, touch):
    touch("sub/a.jpg")

    assert find_inputs([tmp_path]).wrong == {
        str(
            tmp_path
        ): f"'{tmp_path}' must hold images ({', '.join(IMAGE_SUFFIXES)}), got none. Add "
        "`--recursive` for the 1 in its subfolders."
    }


def test_folder_without_any_image_asks_for_another(tmp_path, touch):
    touch("sub/notes.txt")

    (told,) = find_inputs([tmp_path]).wrong.values()

    assert told.endswith("got none. Put some there, or name another folder.")


def test_pattern_without_a_match_is_named(tmp_path):
    given = f"{tmp_path}/*.jpg"

    assert find_inputs([given]).wrong == {
        given: f"'{given}' must match a file, got none. Check the pattern."
    }


def test_name_that_no_system_can_hold_is_named():
    given = "n" * 5000

    assert find_inputs([given]).wrong == {
        given: f"'{given}' must be readable, got 'File name too long'. Check its name and rights."
    }


def test_wrong_input_does_not_hide_the_others(tmp_path, touch):
    touch("a.jpg")

    assert names(find_inputs([tmp_path / "b.jpg", tmp_path / "a.jpg"])) == ["a"]
