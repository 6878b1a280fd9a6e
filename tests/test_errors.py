import pytest

from parsenet import errors

KINDS = [
    errors.DataNotFoundError,
    errors.ImageError,
    errors.LabelError,
    errors.WeightsError,
    errors.ConfigError,
    errors.FetchError,
    errors.TrainingError,
    errors.ExportError,
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_parsenet_error(kind):
    assert issubclass(kind, errors.ParseNetError)


def test_no_error_is_missing_from_this_list():
    kinds = errors.ParseNetError.__subclasses__()
    assert {kind for kind in kinds if kind.__module__ == errors.__name__} == set(KINDS)


def test_config_error_is_a_value_error():
    # jsonargparse turns a ValueError of a config into its own usage message.
    assert issubclass(errors.ConfigError, ValueError)


def test_close_word_is_suggested_alone():
    assert errors.suggest("fuson", ["fusion", "trunk"]) == "Did you mean `fusion`?"


def test_closest_of_several_close_words_is_suggested():
    assert errors.suggest("conv55", ["conv4", "conv5"]) == "Did you mean `conv5`?"


def test_word_of_which_only_the_beginning_was_given_is_suggested():
    assert errors.suggest("data.bat", ["data.rotate", "data.batch_size"]) == (
        "Did you mean `data.batch_size`?"
    )


def test_all_words_are_listed_when_none_is_close():
    assert errors.suggest("zzz", ["early", "late"]) == "Known: `early`, `late`."


def test_known_words_may_be_an_iterator():
    assert errors.suggest("zzz", iter(["early", "late"])) == "Known: `early`, `late`."
