from functools import partial

import numpy as np
import pandas as pd
import pytest

from keras_vision.datasets import shapes
from keras_vision.detection import evaluate
from keras_vision.detection.evaluate import detected, scores
from keras_vision.detection.metrics import COLUMNS, average_precision
from keras_vision.training import Evaluator


@pytest.mark.slow
def test_what_is_known_by_heart_scores_well(trained, learned):
    model, raws = trained
    table = evaluate(model, learned)
    assert list(table.columns) == COLUMNS
    assert list(table.index) == ["all", *shapes.class_names]
    assert table.loc["all", "AP50"] > 0.9
    assert table.loc["all", "AP"] > 0.5
    occur = {shapes.class_names[label] for raw in raws for label in raw["labels"]}
    assert set(table.index[1:][table["AP"][1:].notna()]) == occur


def test_found_and_truth_are_in_the_rows_order(trained, learned):
    model, raws = trained
    found, truth = detected(model, learned)
    for one, raw in zip(truth, raws, strict=True):
        np.testing.assert_array_equal(one["boxes"], raw["boxes"])
        assert "image" not in one
    pd.testing.assert_frame_equal(
        average_precision(found, truth, shapes.class_names), evaluate(model, learned)
    )


def test_settings_of_detect_are_handed_on(trained, learned):
    model, _ = trained
    found, _ = detected(model, learned, score=0.3, most=1)
    assert all(len(one["scores"]) <= 1 for one in found)


def test_within_fit_it_is_an_evaluator(trained, learned):
    model, _ = trained
    callback = Evaluator(partial(scores, rows=learned))
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs == evaluate(model, learned).loc["all", ["AP", "AP50"]].to_dict()
