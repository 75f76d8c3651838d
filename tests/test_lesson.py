import numpy as np
import pytest

from keras_vision import lesson

HINT = "think of the middle"


@pytest.mark.parametrize(
    "answer", [(14, 7), [14, 7], np.array([14.0, 7.0]), (np.int64(14), 7.001)]
)
def test_right_in_any_form(answer):
    lesson.check(answer, (14, 7), HINT)


@pytest.mark.parametrize(
    "answer",
    [None, "14", (7, 14), [14], 14, [[14, 7]], np.nan, lambda: (14, 7), (True, 7), {14, 7}],
)
def test_wrong_in_any_form(answer):
    with pytest.raises(AssertionError) as caught:
        lesson.check(answer, (14, 7), HINT)
    assert caught.value.args == (HINT,)


@pytest.mark.parametrize("verdict", [False, None, np.array([True, True]), 1 / 3 > 1])
def test_a_function_judges(verdict):
    lesson.check(3, lambda answer: answer == 3, HINT)
    for right in (lambda answer: verdict, lambda answer: answer.nothing):
        with pytest.raises(AssertionError, match=HINT):
            lesson.check(3, right, HINT)


def test_true_is_no_number():
    lesson.check(np.bool_(False), False, HINT)
    for answer, right in ((True, 1), (1, True), (0, False)):
        with pytest.raises(AssertionError):
            lesson.check(answer, right, HINT)


def main(data=None, out="", epochs=3, rate=0.5):
    """A lesson that measures its own settings."""
    if data == "broken":
        raise FileNotFoundError("broken/wnids.txt is missing")
    print(data, out, epochs, rate)
    return {"epochs": epochs}


FULL, EXPECTED = {"epochs": 30}, {"epochs": (3, 1)}


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "None out/test_lesson 3 0.5"),
        (["--epochs", "4", "--out", "here"], "None here 4 0.5"),
        (["--full", "--data", "there"], "there out/test_lesson_full 30 0.5"),
        (["--full", "--data", "there", "--epochs", "2"], "there out/test_lesson_full 2 0.5"),
    ],
)
def test_settings(arguments, printed, capsys):
    lesson.run(main, FULL, EXPECTED, arguments)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == printed
    assert ("3 +- 1" in lines[-1]) == ("--full" not in arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--full"], "--full needs --data DIR"),
        (["--data", "there"], "--data is for --full"),
        (["--epochs", "many"], "invalid int value"),
    ],
)
def test_settings_that_do_not_go_together(arguments, message, capsys):
    with pytest.raises(SystemExit):
        lesson.run(main, FULL, EXPECTED, arguments)
    assert message in capsys.readouterr().err


def test_what_is_wrong_with_the_data_is_one_line():
    with pytest.raises(SystemExit, match=r"^test_lesson: broken/wnids\.txt is missing$"):
        lesson.run(main, FULL | {"data": "broken"}, EXPECTED, ["--full"])
