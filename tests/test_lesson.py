import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_vision import lesson

HINT = "think of the middle"


@pytest.mark.parametrize("answer", [(14, 7), [14, 7], np.array([14.0, 7.0]), (np.int64(14), 7.0)])
def test_right_in_any_form(answer):
    lesson.check(answer, (14, 7), HINT)


def test_counts_are_exact_and_the_rest_needs_two_figures():
    for answer in (2.3, 2.30259, np.float32(2.31)):
        lesson.check(answer, np.log(10), HINT)
    for answer, right in ((802_816, 803_328), (7.001, 7), (2.2, np.log(10)), (2, np.log(10))):
        with pytest.raises(AssertionError):
            lesson.check(answer, right, HINT)


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


def test_nothing_but_the_hint_is_said(recwarn):
    with pytest.raises(AssertionError, match=HINT) as caught:
        lesson.check(np.zeros(2), lambda answer: np.divide(1, answer).sum() == 1, HINT)
    assert not recwarn.list
    assert caught.value.__context__ is None  # no second traceback above it


def main(data=None, out="", epochs=3, rate=0.5, fault=""):
    """A lesson that measures its own settings."""
    if data == "broken":
        raise FileNotFoundError("broken/wnids.txt is missing")
    faults = {
        "wrong": lambda: lesson.check(3, 4, HINT),
        "no folder": lambda: Path("nowhere/at all").read_text(),
        "in the pipeline": lambda: exec("raise Exception('... assertion failed: [a.jpg is cut]')"),
        "bug": lambda: json.loads("{"),
        "typo": lambda: data.nothing,
    }
    if fault:
        faults[fault]()
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


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wrong", HINT),
        ("no folder", r"\[Errno 2\] No such file or directory: 'nowhere/at all'"),
        ("in the pipeline", "a.jpg is cut"),
    ],
)
def test_what_a_learner_can_mend_is_one_line(fault, message):
    with pytest.raises(SystemExit, match=f"^test_lesson: {message}$"):
        lesson.run(main, FULL, EXPECTED, ["--fault", fault])


@pytest.mark.parametrize(("fault", "kind"), [("bug", ValueError), ("typo", AttributeError)])
def test_a_bug_keeps_its_traceback(fault, kind):
    with pytest.raises(kind):
        lesson.run(main, FULL, EXPECTED, ["--fault", fault])


LESSON = '''"""A lesson.

Data:      DIR is a folder
           of photos.
Expect:    nothing
"""
import sys
from keras_vision import lesson

def main(data=None, out="", epochs=1):
    assert not {"keras", "tensorflow"} & set(sys.modules)
    print("some work")
    raise KeyboardInterrupt("Stopped. To go on, run again")

lesson.run(main, {}, {})
'''


@pytest.mark.parametrize(
    ("arguments", "status", "said", "last"),
    [
        ([], 130, "some work\n", "01_sums: Stopped. To go on, run again"),
        (
            ["--full"],
            2,
            "",
            "01_sums.py: error: --full needs --data DIR. DIR is a folder of photos.",
        ),
    ],
)
def test_how_a_lesson_ends(tmp_path, arguments, status, said, last):
    (tmp_path / "01_sums.py").write_text(LESSON)
    done = subprocess.run(
        [sys.executable, tmp_path / "01_sums.py", *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (status, said)
    assert done.stderr.splitlines()[-1] == last


def test_what_is_printed_can_go_to_a_file(tmp_path, capsys):
    log = tmp_path / "a.log"
    for line in ("one", "two"):
        with lesson.printed_to(log):
            print(line)
    print("three")
    assert (log.read_text(), capsys.readouterr().out) == ("one\ntwo\n", "three\n")
