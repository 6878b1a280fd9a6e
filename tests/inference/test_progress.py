import pytest

from parsenet.inference import progress
from parsenet.inference.progress import Watch


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test turns; pytest's standard error is no terminal."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_log_gets_a_line_every_half_minute(clock, capsys):
    with Watch(total=100) as watch:
        for clock[0] in range(0, 70, 10):
            watch.advance()

    assert capsys.readouterr().err == (
        "Predicting: 4 of 100 done, 12 min left.\nPredicting: 7 of 100 done, 13 min left.\n"
    )


def test_skipped_images_make_nothing_look_quicker(clock, capsys):
    with Watch(total=1000) as watch:
        watch.advance(900, was_skipped=True)
        clock[0] = 60
        watch.advance()

    assert capsys.readouterr().err == "Predicting: 1 of 100 done, 1 h 39 min left.\n"


def test_nobody_knows_how_long_a_camera_goes_on(clock, capsys):
    with Watch(total=1) as watch:
        watch.expect(None)
        clock[0] = 60
        watch.advance(5)

    assert capsys.readouterr().err == "Predicting: 5 done.\n"


def test_hidden_watch_says_nothing(clock, capsys):
    with Watch(total=10, is_shown=False) as watch:
        clock[0] = 60
        watch.advance()
        watch.note(1, 4)

    assert capsys.readouterr().err == ""


def test_terminal_shows_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")

    with Watch(total=4) as watch:
        watch.note(1, 9)
        watch.advance(2)

    shown = capsys.readouterr().err
    assert "Predicting" in shown
    assert "2/4" in shown
