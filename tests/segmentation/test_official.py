"""cityscapesScripts, the official evaluation, is the oracle."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from keras_vision.datasets import cityscapes
from keras_vision.segmentation.metrics import confusion, table


@pytest.fixture
def official(monkeypatch, tmp_path):
    """IoU by class and its mean of files (found, truth) in label ids."""
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path))
    module = "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling"
    scripts = importlib.import_module(module)

    def evaluated(found, truth):
        args = SimpleNamespace(evalInstLevelScore=False, evalPixelAccuracy=False)
        matrix = scripts.generateMatrix(args)
        scripts.evaluatePair(str(found), str(truth), matrix, None, None, args)
        labels = [scripts.name2label[name].id for name in cityscapes.class_names]
        ious = {
            scripts.id2label[label].name: scripts.getIouScoreForLabel(label, matrix, args)
            for label in labels
        }
        return {**ious, "mean": scripts.getScoreAverage(ious, args)}

    return evaluated


def agree(official, ids, labels, found, folder):
    """ids: the official map of which `labels` were read, a file; found: labels 0..18."""
    Image.fromarray(cityscapes.to_label_ids(found).astype("uint8")).save(folder / "found.png")
    ours = table(confusion(labels, found, 19), cityscapes.class_names)["iou"]
    theirs = official(folder / "found.png", ids)
    assert list(theirs) == list(ours.index)
    np.testing.assert_allclose(list(theirs.values()), ours, rtol=1e-12)
    return ours


def test_random_maps(official, tmp_path):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 34, (60, 80)).astype("uint8")
    ids[ids == 31] = 26  # no train in what is there, but in what is found: 0
    Image.fromarray(ids).save(tmp_path / "truth.png")
    table_of_ids = np.array([label for _, label, _ in cityscapes.CLASSES])
    labels = table_of_ids[ids]
    found = np.where(rng.uniform(size=ids.shape) < 0.7, labels, rng.integers(0, 19, ids.shape))
    found = np.where((found == 255) | (found == 3), 0, found)  # walls are never found
    ours = agree(official, tmp_path / "truth.png", labels, found, tmp_path)
    assert ours["train"] == ours["wall"] == 0
    assert 0.3 < ours["mean"] < 0.8


@pytest.mark.realdata
def test_real_street(official, data_root, tmp_path):
    (raw,) = cityscapes.load("val", data_root / "cityscapes").as_numpy_iterator()
    path = raw["name"].decode().replace("leftImg8bit/", "gtFine/")
    path = data_root / "cityscapes" / path.replace("leftImg8bit", "gtFine_labelIds")
    labels = raw["label_map"]
    found = np.roll(np.where(labels == 255, 0, labels), (3, 5), (0, 1))
    ours = agree(official, path, labels, found, tmp_path)
    assert ours.isna().any()  # of 19 classes a street has not all
    assert 0.3 < ours["mean"] < 0.95
