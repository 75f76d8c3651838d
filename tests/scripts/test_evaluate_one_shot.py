"""The script that asks a network what Omniglot's authors asked people."""

import evaluate_one_shot
import pytest
from PIL import Image, ImageDraw

from keras_vision.metric_learning import embedder

STROKES = [
    [(20, 20), (85, 85)],
    [(52, 10), (52, 95)],
    [(10, 52), (95, 52), (95, 95)],
    [(20, 85), (52, 20), (85, 85), (20, 85)],
]


def drawn(path, strokes, shift=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("1", (105, 105), 1)
    ImageDraw.Draw(image).line([(x + shift, y + shift) for x, y in strokes], 0, 3)
    image.save(path)


@pytest.fixture
def root(tmp_path):
    """Two runs in the authors' layout; of the second, one answer is wrong."""
    for run, answers in {"run01": (0, 1, 2, 3), "run02": (0, 1, 3, 3)}.items():
        lines = []
        for number, strokes in enumerate(STROKES):
            question = f"{run}/test/item{number:02d}.png"
            drawn(tmp_path / question, strokes, shift=4)
            drawn(tmp_path / run / f"training/class{number:02d}.png", strokes)
            lines.append(f"{question} {run}/training/class{answers[number]:02d}.png\n")
        (tmp_path / run / "class_labels.txt").write_text("".join(lines))
    return tmp_path


def test_how_many_are_right(root, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["evaluate_one_shot.py", str(root)])
    evaluate_one_shot.main()
    assert capsys.readouterr().out.split() == [
        *("run01", "1.000", "run02", "0.750"),
        "mean",
        "0.875",
    ]


def test_questions_are_asked_in_any_order(root):
    labels = root / "run02/class_labels.txt"
    labels.write_text("\n".join(reversed(labels.read_text().splitlines())) + "\n\n")
    model = embedder.build(weights="omniglot")
    assert evaluate_one_shot.share_right(model, root, "run02") == 0.75


def test_another_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["evaluate_one_shot.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="no run in it"):
        evaluate_one_shot.main()
