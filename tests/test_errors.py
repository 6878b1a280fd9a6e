import pytest

from parsenet import errors


def test_every_error_is_a_parsenet_error():
    kinds = [x for x in vars(errors).values() if getattr(x, "__module__", "") == errors.__name__]
    kinds.remove(errors.suggest)

    assert all(issubclass(kind, errors.ParseNetError) for kind in kinds)
    assert issubclass(errors.ConfigError, ValueError), "jsonargparse makes a usage message of those"


@pytest.mark.parametrize(
    ("given", "known", "sentence"),
    [
        ("fuson", ["fusion", "trunk"], "Did you mean `fusion`?"),
        ("conv55", ["conv4", "conv5"], "Did you mean `conv5`?"),
        ("data.bat", ["data.rotate", "data.batch_size"], "Did you mean `data.batch_size`?"),
        ("zzz", iter(["early", "late"]), "Known: `early`, `late`."),
    ],
)
def test_closest_word_is_suggested_or_all_are_listed(given, known, sentence):
    assert errors.suggest(given, known) == sentence
