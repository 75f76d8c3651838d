"""Every lesson runs in its fast form, holds its numbers, and makes two notebooks."""

import importlib.util
from pathlib import Path

import jupytext
import nbclient
import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent


def script(path):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_01_colorization(tmp_path):
    result = script(ROOT / "tutorials" / "01_colorization.py").main(out=tmp_path)
    history = result["history"]

    assert result["first_loss"] == pytest.approx(np.log(313))
    assert history["loss"][0] == pytest.approx(4.4, abs=0.6)
    assert history["loss"].iloc[-1] < 3.4
    assert 0.2 < result["chroma"]["l2"] < 0.75
    assert 0.5 < result["chroma"]["rebalanced"] < 1.6
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {
        "1_task.png", "5_rarity.png", "7_curves.png", "7_temperatures.png", "8_filters.png",
        "9_unseen.png",
    }  # fmt: skip


def test_02_mnist_tensorpack(tmp_path, capfd):
    lesson = script(ROOT / "tutorials" / "02_mnist_tensorpack.py")
    result = lesson.main(out=tmp_path)
    history, tuned, dropout = result["history"], result["tuned"], result["dropout_losses"]

    assert history["validation_accuracy"].iloc[-1] == pytest.approx(0.975, abs=0.01)
    losses = (run["validation_cross_entropy_loss"].iloc[-1] for run in (history, tuned))
    assert next(losses) > 1.1 * next(losses)
    assert dropout["left on"] > 1.2 * dropout["off"]
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {"1_task.png", "8_filters.png", "9_curves_and_mistakes.png"}
    assert len(list((tmp_path / "tuned" / "mistakes").glob("epoch-*.png"))) == len(tuned)
    log = capfd.readouterr().out
    assert "Total #vars=12, #params=836,522, size=3.19MB" in log
    assert "\r" not in log

    lesson.main(out=tmp_path, epochs=13)  # goes on where it was
    assert len(pd.read_csv(tmp_path / "train_log" / "history.csv")) == 13
    assert "epoch 12 is done" in capfd.readouterr().out


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    out = tmp_path_factory.mktemp("notebooks")
    script(ROOT / "scripts" / "build_notebooks.py").main(["--out", str(out)])
    return out


def test_every_lesson_has_its_notebooks(notebooks):
    lessons = sorted(path.stem for path in (ROOT / "tutorials").glob("*.py"))
    names = [f"{lesson}_{kind}.ipynb" for lesson in lessons for kind in ("solution", "start")]
    assert sorted(path.name for path in notebooks.iterdir()) == names


def run(notebook, folder):
    """Runs a notebook with one epoch of training and its pictures in `folder`."""
    settings = next(cell for cell in notebook.cells if "\nout = " in cell.source)
    settings.source += f"\nepochs, out = 1, {str(folder)!r}"
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()


@pytest.mark.parametrize(
    ("lesson", "pictures"), [("01_colorization", 6), ("02_mnist_tensorpack", 3)]
)
def test_solution_runs_and_shows_its_pictures(notebooks, tmp_path, lesson, pictures):
    notebook = jupytext.read(notebooks / f"{lesson}_solution.ipynb")
    run(notebook, tmp_path)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == pictures
    assert not any("[solution" in cell.source or "[end]" in cell.source for cell in notebook.cells)


@pytest.mark.parametrize(
    ("lesson", "solution", "hint"),
    [
        ("01_colorization", "(320, 480, 1)", r"predicted_shapes = \? the photo"),
        ("02_mnist_tensorpack", "np.log(10)", r"first_loss = \? ten digits"),
    ],
)
def test_start_stops_at_the_first_blank_with_its_hint(notebooks, tmp_path, lesson, solution, hint):
    notebook = jupytext.read(notebooks / f"{lesson}_start.ipynb")
    assert solution not in "".join(cell.source for cell in notebook.cells)
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=hint):
        run(notebook, tmp_path)
