"""Every lesson runs in its fast form, holds its numbers, refuses wrong answers, and makes two
notebooks, of which the one to work through gives nothing away.
"""

import ast
import contextlib
import importlib.util
import re
import textwrap
from pathlib import Path

import build_notebooks
import jupytext
import nbclient
import numpy as np
import pytest
from PIL import Image

from keras_vision import lesson

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
ABSURD = (
    None, "x", "", 0, 1, -1, 0.5, float("nan"), float("inf"), True, False, [], (), {}, object(),
    lambda *_: None, lambda raw, *_: raw, np.zeros((2, 3)), np.zeros(0), np.ones(313), [[1], 2],
    Exception, ..., "46", {14, 7}, [None], 1j, range(3), np.array("x"), (0, 0), [0, 0, 0],
)  # fmt: skip


def rolled(raw, seed, axis=(0, 1)):
    """A digit moved by up to two pixels."""
    steps = [number % 5 - 2 for number in (seed[1], seed[1] // 3)]
    return {**raw, "image": np.roll(raw["image"], steps, axis)}


# What learners may well answer to a blank, by its name; most need nothing here.
RIGHT = {"best_for_l2": [(0, 40)], "augment": [rolled]}
WRONG = {
    "best_for_l2": [(60, 40), (-60, 40), (0, 0), (1, 40), 40],
    "weights_of_first": [64 * 9, 64 * 9 + 1],
    "parameters_of_fc0": [512 * 7 * 7 * 32, 512 * 7 * 7 * 32 + 1],
    "augment": [
        lambda raw, seed: rolled(raw, (0, 1)),  # the same for all seeds
        lambda raw, seed: rolled(raw, (0, seed[1] % 3)),  # up only
        lambda raw, seed: rolled(raw, seed, axis=(0, 0)),
        lambda raw, seed: rolled(raw, seed) | {"label": 3},
        lambda raw, seed: {"image": rolled(raw, seed)["image"]},
        lambda raw, seed: rolled(raw, seed)["image"],
        lambda raw, seed: rolled(raw | {"image": raw["image"][::-1]}, seed),
        lambda raw, seed: rolled(raw | {"image": raw["image"][2:]}, seed),
        lambda raw, seed: rolled(raw | {"image": raw["image"] / np.float32(255)}, seed),
        lambda raw, seed: rolled(raw | {"image": 255 - raw["image"]}, seed),
    ],
}


def script(path):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def solutions(path):
    """The syntax tree of each solution of a lesson."""
    for question, lines in build_notebooks.regions(path.read_text()):
        if question:
            yield ast.parse(textwrap.dedent("\n".join(lines)))


def blanks(path):
    return [", ".join(build_notebooks.asked(tree)) for tree in solutions(path)]


def wrong_answers(name, answer):
    """Those of learners, absurd ones, and nearly right ones."""
    yield from WRONG.get(name, ())
    numbers = None if callable(answer) else np.asarray(answer)
    for absurd in ABSURD:
        with contextlib.suppress(Exception):
            if lesson.same(absurd, numbers):
                continue
        yield absurd
    if numbers is None:
        return
    yield from ([answer], (numbers,), numbers[..., None], str(answer), lambda: answer)
    if numbers.dtype == bool:
        yield ~numbers
    else:
        yield from (numbers + 1, numbers - 1, -numbers - 1)


@pytest.fixture(scope="module", params=LESSONS, ids=lambda path: path.stem)
def done(request, tmp_path_factory):
    """A lesson that has run: the module, its folder, what it measured, how it checks answers."""
    out, checks, check = tmp_path_factory.mktemp("out"), [], lesson.check
    names = iter(blanks(request.param))

    def noting(answer, right, hint):
        name = next(names)
        forms = [] if callable(answer) else [np.asarray(answer), np.asarray(answer).tolist()]
        for good in (answer, *forms, *RIGHT.get(name, ())):
            check(good, right, hint)
        for wrong in wrong_answers(name, answer):
            with pytest.raises(AssertionError) as caught:
                check(wrong, right, hint)
            assert caught.value.args == (hint,), f"{name} = {wrong}"
        checks.append((name, answer, hint))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson, "check", noting)
        module = script(request.param)
        measured = module.main(out=out)
    return module, out, measured, checks


@pytest.mark.slow
def test_the_numbers_are_as_expected(done):
    module, _, measured, _ = done
    assert measured.keys() == module.EXPECTED.keys()
    for name, (value, tolerance) in module.EXPECTED.items():
        assert measured[name] == pytest.approx(value, abs=tolerance), name


@pytest.mark.slow
def test_all_its_pictures_are_there_and_show_something(done):
    module, out, _, _ = done
    source = Path(module.__file__).read_text()
    promised = set(re.findall(r'out / "(\w+\.png)"', source))
    assert promised == {path.name for path in out.glob("*.png")} != set()
    for name in promised:
        with Image.open(out / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 5, name


@pytest.mark.slow
def test_every_blank_is_checked_and_no_hint_is_the_answer(done):
    module, _, _, checks = done
    assert [name for name, _, _ in checks] == blanks(Path(module.__file__))
    for _, answer, hint in checks:
        assert not re.search(r"[+*/=] *\d|- \d|log\(", hint), "a hint leads, it does not reckon"
        if callable(answer):
            assert answer.__name__ not in hint
        else:
            numbers = {f"{number:g}" for number in np.ravel(answer)}
            assert not numbers <= set(re.findall(r"[\d.]*\d", hint)), hint


@pytest.mark.slow
def test_a_lesson_goes_on_where_it_was(done, capfd):
    module, out, measured, _ = done
    assert module.main(out=out) == pytest.approx(measured, rel=0.2)  # dropout is drawn anew
    assert "epochs already" in capfd.readouterr().out


def notebook_cells(path, kind):
    source = build_notebooks.versions(path.read_text())[kind]
    notebook = jupytext.reads(build_notebooks.as_cells(source), fmt="py:percent")
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_nothing_of_a_solution_is_in_the_start_notebook(path):
    source, start = path.read_text(), "\n".join(notebook_cells(path, "start"))
    assert start.count("NotImplementedError") == len(blanks(path)) == source.count("[solution:")
    for kind in ("start", "solution"):
        assert "[solution" not in "\n".join(notebook_cells(path, kind))
    regions = build_notebooks.regions(source)
    elsewhere = {x.strip() for question, lines in regions if not question for x in lines}
    for line in (x.strip() for question, lines in regions if question for x in lines):
        assert line in elsewhere or line not in start
    plain = ast.unparse(ast.parse(start))
    for node in (node for tree in solutions(path) for node in ast.walk(tree)):
        # Nor is what is assigned or returned, in a check or an import, in whatever layout.
        value = getattr(node, "value", None)
        answers = [value] if isinstance(node, ast.Assign | ast.Return) else []
        for words in map(ast.unparse, answers):
            assert words in ("True", "False") or words not in plain, words


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_start_notebook_stops_at_its_first_blank(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    question = re.search(r"# \[solution: (.+)\]", path.read_text())[1]
    with pytest.raises(NotImplementedError, match=re.escape(question)):
        exec("\n".join(notebook_cells(path, "start")), {"__name__": "notebook"})


@pytest.mark.slow
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_solution_runs_and_shows_its_pictures(path, tmp_path):
    build_notebooks.main(["--out", str(tmp_path / "notebooks")])
    names = sorted(f"{p.stem}_{kind}.ipynb" for p in LESSONS for kind in ("solution", "start"))
    assert sorted(p.name for p in (tmp_path / "notebooks").iterdir()) == names
    notebook = jupytext.read(tmp_path / "notebooks" / f"{path.stem}_solution.ipynb")
    settings = next(cell for cell in notebook.cells if "\nout = " in cell.source)
    settings.source += f"\nepochs, out = 1, {str(tmp_path)!r}"
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = sum("image/png" in output.get("data", {}) for output in outputs)
    assert shown == len(list(tmp_path.glob("*.png"))) > 0


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_a_lesson(path):
    """Nine steps, a head with what one needs to know, and settings that have names."""
    tree, source = ast.parse(path.read_text()), path.read_text()
    steps = re.findall(r"# ## (\d)\. ", source)
    assert steps == [str(number) for number in range(1, 10)]
    for head in ("Paper:", "Lecture:", "Needs:", "Run:", "Data:", "Expect:", "Pictures:"):
        assert f"\n{head}" in ast.get_docstring(tree)
