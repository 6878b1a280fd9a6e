import pytest

from parsenet.data.reading import IMAGE_SUFFIXES
from parsenet.inference.inputs import Input, find_inputs


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Return a function that makes empty files in the current folder, and looks for inputs."""
    monkeypatch.chdir(tmp_path)

    def run(files, words, **options):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return find_inputs(words, **options)

    return run


@pytest.mark.parametrize(
    ("files", "words", "names"),
    [
        (["a.b.jpg"], ["a.b.jpg"], ["a.b"]),
        (["photo.xyz"], ["photo.xyz"], ["photo"]),
        (["img10.png", "img2.JPG", "img1.png", "b7.png"], ["."], ["b7", "img1", "img2", "img10"]),
        (["a.jpg", "notes.txt", "._a.jpg", "sub/c.jpg", "clip.mp4"], ["."], ["a"]),
        (["a10.jpg", "a9.jpg", "b1.jpg"], ["a*.jpg"], ["a9", "a10"]),
        (["a/x.jpg", "b/c/y.jpg"], ["**/*.jpg"], ["x", "y"]),
        (["a[1].jpg"], ["a[1].jpg"], ["a[1]"]),
        (["z.jpg", "a.jpg"], ["z.jpg", "a.jpg"], ["z", "a"]),
        (["a.jpg"], ["a.jpg", ".", "*.jpg"], ["a"]),
        (["a/x.jpg", "b/x.png"], ["a/x.jpg", "b/x.png"], ["x", "b_x"]),
        (["a/x.jpg", "a/x.png", "a/x.tif"], ["a"], ["x", "a_x", "x_tif"]),
        ([], ["http://a/x.jpg", "http://b/x.jpg", "http://c/x.jpg"], ["x", "x_2", "x_3"]),
        (["@a.jpg"], ["@a.jpg"], ["@a"]),
        (["a.jpg"], ["b.jpg", "a.jpg"], ["a"]),
    ],
)  # fmt: skip
def test_results_are_named_in_natural_order(find, files, words, names):
    assert [one.name for one in find(files, words).found] == names


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["x.jpg", "a/x.jpg", "b/c/x.jpg"], ["a/x", "b/c/x", "x"]),
        (["x.jpg", "out/x.png", "out/overlay/x.jpg"], ["x"]),
        # No image takes the name of a folder of results.
        (["overlay/x.jpg", "entropy/deep/x.jpg"], ["entropy_/deep/x", "overlay_/x"]),
    ],
)
def test_recursive_folder_keeps_subfolders_in_the_names(find, tmp_path, files, names):
    found = find(files, ["."], recursive=True, exclude=tmp_path / "a" / ".." / "out").found

    assert sorted(one.name for one in found) == names


@pytest.mark.parametrize(
    ("word", "name", "kind"),
    [
        ("https://a.org/b/cat%20one.jpg?size=3", "cat_one", "address"),
        ("HTTP://a.org/", "image", "address"),
    ],
)
def test_address_is_named_after_its_path(word, name, kind):
    assert find_inputs([word]).found == [Input(word, name, kind)]


def test_list_gives_its_lines(find, tmp_path):
    (tmp_path / "lists").mkdir()
    text = f"# mine\n{tmp_path}/lists/b.jpg\n\n  a.jpg  \r\nnone.jpg\n"
    (tmp_path / "lists" / "list.txt").write_text(text)

    inputs = find(["lists/a.jpg", "lists/b.jpg"], ["@lists/list.txt"])

    assert ([one.name for one in inputs.found], list(inputs.wrong)) == (["b", "a"], ["none.jpg"])


NO_LIST = "must name a text file with one input per line, got 'No such file or directory'. Check "


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("@none.txt", f"'@none.txt' {NO_LIST}its path."),
        ("@empty.txt", "'@empty.txt' must list inputs, one per line, got none."),
        ("file:///x", "'file:///x' must start with http:// or https://, got 'file'. Download it."),
        ("ftp://a/x", "'ftp://a/x' must start with http:// or https://, got 'ftp'. Download it."),
        (
            "phto.jpg",
            "'phto.jpg' must be an image, a folder or a pattern, got nothing there. Did you mean "
            "'photo.jpg'?",
        ),
        (
            "no/a.jpg",
            "'no/a.jpg' must be an image, a folder or a pattern, got nothing there. Check the "
            "spelling.",
        ),
        (
            "sub",
            f"'sub' must hold images ({', '.join(IMAGE_SUFFIXES)}), got none. Add `--recursive` "
            "for the 1 in its subfolders.",
        ),
        (
            "texts",
            f"'texts' must hold images ({', '.join(IMAGE_SUFFIXES)}), got none. Put some there, or "
            "name another folder.",
        ),
        ("*.gif", "'*.gif' must match a file, got none. Check the pattern."),
        (
            "n" * 5000,
            f"'{'n' * 5000}' must be readable, got 'File name too long'. Check its name and "
            "rights.",
        ),
    ],
)
def test_what_gives_nothing_is_told_with_a_way_out(find, word, sentence):
    files = ["photo.jpg", "sub/deep/a.jpg", "texts/notes.txt", "empty.txt"]

    assert find(files, [word]).wrong == {word: sentence}
