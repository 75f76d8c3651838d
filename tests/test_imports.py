"""Rooms may look down, never up, and importing the package stays quick."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_vision
from keras_vision import _saveable

PACKAGE = Path(__file__).parent.parent / "keras_vision"
FLOOR = {
    "archives", "arithmetic", "augment", "boxes", "datasets", "downloads", "images", "layers",
    "lesson", "optimizers", "pipeline", "plots", "quiet", "resizing", "rows", "tiles",
    "torch_file", "torch_weights", "training", "verbs", "weights",
}  # fmt: skip
# What a task may import besides the floor and itself.
TASKS = {
    "classification": set(),
    "colorization": set(),
    "detection": {"classification"},
    "metric_learning": {"classification"},
    "segmentation": {"classification"},
    "restoration": {"classification", "segmentation"},
}
MAY_USE_TENSORFLOW = (
    "/augment.py", "/boxes.py", "/pipeline.py", "/resizing.py", "/rows.py", "/datasets/",
    "/training/", "/data.py", "/dilated.py", "/normalization.py",
)  # fmt: skip


def files():
    return sorted(PACKAGE.rglob("*.py"))


def imported(path):
    """The modules that a file imports, at its top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path):
    parts = (name.split(".") for name in imported(path))
    rooms = {part[1] for part in parts if part[0] == "keras_vision" and len(part) > 1}
    return {room for room in rooms if not room.startswith("_")}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_is_known():
    rooms = {room for room in map(room_of, files()) if not room.startswith("_")}
    assert rooms == FLOOR | set(TASKS)
    assert set(dir(keras_vision)) == rooms


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    if room in FLOOR:
        assert rooms_imported(path) <= FLOOR
    elif room in TASKS:
        assert rooms_imported(path) <= FLOOR | TASKS[room] | {room}


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tensorflow_stays_where_data_and_training_are(path):
    if any(name.split(".")[0] == "tensorflow" for name in imported(path)):
        assert any(place in f"/{path.relative_to(PACKAGE)}" for place in MAY_USE_TENSORFLOW)


def test_import_of_the_package_loads_no_framework():
    code = "import sys, keras_vision; print({'keras', 'tensorflow', 'PIL'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_rooms_are_found_by_name():
    assert keras_vision.colorization.build.__module__ == "keras_vision.colorization.model"
    assert keras_vision.datasets.mnist.class_names[7] == "7"
    with pytest.raises(AttributeError, match="no attribute 'colourisation'"):
        _ = keras_vision.colourisation


def test_keras_learns_of_all_that_may_be_saved():
    marked = re.compile(r'register_keras_serializable\("keras_vision"\)\nclass (\w+)')
    saveable = {
        name: ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in files()
        for name in marked.findall(path.read_text())
    }
    assert saveable == _saveable.MODULES
    for name in saveable:
        registered = keras.saving.get_registered_name(_saveable.Later(name).found())
        assert registered == f"keras_vision>{name}"


def test_import_of_keras_imports_no_room():
    """Else whoever began with what a room imports would find it half imported."""
    code = "import sys, keras_vision, keras; print(*(x for x in sys.modules if 'keras_v' in x))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in out.stdout.split() if "." in name}
    assert all(room.startswith("_") for room in rooms), rooms


@pytest.mark.quick("import keras, keras_vision")
@pytest.mark.parametrize("order", ["import keras_vision, keras", "import keras, keras_vision"])
def test_a_saved_model_loads_in_a_fresh_process(tmp_path, order):
    model = keras_vision.colorization.build(width=1 / 32)
    model.compile("adam", keras_vision.colorization.RebalancedCrossEntropy())
    model.save(tmp_path / "model.keras")
    code = f"""{order}
model = keras.saving.load_model("model.keras")
print(type(model.loss).__name__, model.count_params())"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["RebalancedCrossEntropy", str(model.count_params())]
