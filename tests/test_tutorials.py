"""Every lesson runs in its fast form, holds its numbers, refuses wrong answers, and makes two
notebooks, of which the one to work through gives nothing away.
"""

import ast
import importlib.util
import re
from pathlib import Path

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
    Exception, ..., "46",
)  # fmt: skip


def script(path):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_notebooks = script(ROOT / "scripts" / "build_notebooks.py")


def wrong_answers(answer):
    """Absurd ones, and those that are nearly right."""
    yield from (
        absurd for absurd in ABSURD if type(absurd) is not type(answer) or callable(answer)
    )
    if not callable(answer):
        numbers = np.asarray(answer)
        yield [*numbers.tolist(), 1] if numbers.ndim else [answer]
        yield ~numbers if numbers.dtype == bool else numbers * 1.01 + 1
        yield (numbers,)


@pytest.fixture(scope="module", params=LESSONS, ids=lambda path: path.stem)
def done(request, tmp_path_factory):
    """A lesson that has run: the module, its folder, what it measured, how it checks answers."""
    out, checks, check = tmp_path_factory.mktemp("out"), [], lesson.check

    def noting(answer, right, hint):
        check(answer, right, hint)
        for wrong in wrong_answers(answer):
            with pytest.raises(AssertionError) as caught:
                check(wrong, right, hint)
            assert caught.value.args == (hint,)
        checks.append((answer, hint))

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
    source = Path(module.__file__).read_text()
    assert len(checks) == source.count("# [solution:")
    for answer, hint in checks:
        numbers = {f"{number:g}" for number in np.ravel(answer)} if not callable(answer) else {"0"}
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
    source = path.read_text()
    start = "\n".join(notebook_cells(path, "start"))
    solutions = [lines for question, lines in build_notebooks.regions(source) if question]
    assert start.count("NotImplementedError") == len(solutions) == source.count("# [solution:")
    assert "[solution" not in start
    outside = [lines for question, lines in build_notebooks.regions(source) if not question]
    elsewhere = {line.strip() for lines in outside for line in lines}
    for line in (line.strip() for lines in solutions for line in lines):
        assert line in elsewhere or line not in start
        answer = line.partition(" = ")[2]
        assert len(answer) < 6 or answer not in start  # not even in the check
    assert "[solution" not in "\n".join(notebook_cells(path, "solution"))


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
