"""The errors a user can meet, each one a sentence with a way out.

Every message follows `<name> must be <rule>, got <value>. <What to do.>`. The command line turns
any of them into one line and exit code 2; a traceback always means a bug of ours.
"""

import difflib
from collections.abc import Iterable


class ParseNetError(Exception):
    """Base of everything this package raises on purpose."""


class DataNotFoundError(ParseNetError):
    """A folder, file or split that should hold data is missing."""


class ImageError(ParseNetError):
    """An image or label file cannot be read the way it must be."""


class LabelError(ParseNetError):
    """A label holds a value that is neither a class nor void."""


class WeightsError(ParseNetError):
    """Weights do not fit the network, or cannot be had."""


class ConfigError(ParseNetError, ValueError):
    """Options contradict one another or name something unknown."""


class FetchError(ParseNetError):
    """An archive cannot be had, is not the one it must be, or would do harm."""


class TrainingError(ParseNetError):
    """A run was stopped because going on would waste it."""


class ExportError(ParseNetError):
    """An exported file does not say what its network says."""


def suggest(given: str, known: Iterable[str]) -> str:
    """Write the sentence that names the closest known word, or all of them when none is close.

    A single word that begins with what was given is closest.
    """
    words = list(known)
    longer = [word for word in words if given and word.startswith(given)]
    close = longer if len(longer) == 1 else difflib.get_close_matches(given, words, n=1)
    if close:
        return f"Did you mean `{close[0]}`?"
    return "Known: " + ", ".join(f"`{word}`" for word in words) + "."
