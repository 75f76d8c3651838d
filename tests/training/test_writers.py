from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_vision import plots
from keras_vision.training import ModelSaver, PictureWriter, launch
from keras_vision.training.checkpoints import checkpoints

GREY = np.full((4, 6), 100, "uint8")


def test_own_saver_and_pictures(config):
    def figure(model):
        return plots.curves({"loss": [2, 1]}, "epoch", "loss")

    writers = [
        PictureWriter(figure, "curves"),
        PictureWriter(lambda model: np.stack([GREY] * 3, -1)),
        PictureWriter(lambda model: GREY, "grey/two axes"),
        PictureWriter(lambda model: tf.constant(GREY[..., None], tf.int32), "grey/three axes"),
    ]
    launch(replace(config, callbacks=[ModelSaver(keep=1), *writers]))
    assert keras.utils.load_img(config.log_dir / "curves" / "epoch-004.png").size == (900, 540)
    assert list(checkpoints(config.log_dir)) == [12]
    for name in ("pictures", "grey/two axes", "grey/three axes"):
        picture = keras.utils.load_img(config.log_dir / name / "epoch-004.png")
        np.testing.assert_array_equal(np.asarray(picture), np.stack([GREY] * 3, -1))


@pytest.mark.parametrize(
    ("drawn", "got"),
    [
        (GREY / 255, r"Got float64 \(4, 6\) from 0\.39\d* to 0\.39"),
        (GREY.astype(int) * 3, r"Got int64 \(4, 6\) from 300 to 300"),
        (GREY.astype(int) - 101, r"Got int64 \(4, 6\) from -1 to -1"),
        (GREY[None, ..., None], r"Got uint8 \(1, 4, 6, 1\)"),
        (np.zeros((4, 6, 5), "uint8"), r"Got uint8 \(4, 6, 5\)"),
        (np.zeros((0, 6, 3), "uint8"), r"Got uint8 \(0, 6, 3\)"),
        (None, "Got a NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(config, drawn, got):
    with pytest.raises(ValueError, match=rf"draw must return integers 0\.\.255.*{got}"):
        launch(replace(config, callbacks=[PictureWriter(lambda model: drawn)]))


@pytest.mark.parametrize("name", ["", "../pictures", "/pictures"])
def test_pictures_stay_in_the_runs_folder(name):
    with pytest.raises(ValueError, match="PictureWriter's name must be of a folder in log_dir"):
        PictureWriter(lambda model: GREY, name)


def test_two_writers_of_one_name_are_refused(config):
    """The second would overwrite the first one's pictures."""
    writers = [PictureWriter(lambda model: GREY), PictureWriter(lambda model: GREY)]
    with pytest.raises(ValueError, match="write to pictures, pictures: give each a name of its"):
        launch(replace(config, callbacks=writers))


@pytest.mark.parametrize("keep", [-1, 0, 2.0, None])
def test_a_saver_keeps_one_at_least(keep):
    with pytest.raises(ValueError, match="ModelSaver's keep must be a whole number, 1 at least"):
        ModelSaver(keep)


class Halt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 1


def test_one_kept_checkpoint_survives_two_kills(config):
    config = replace(config, callbacks=[ModelSaver(keep=np.int64(1))])
    launch(replace(config, max_epoch=2))
    newest = config.log_dir / "model-6.keras"
    (config.log_dir / "model-9.keras").write_bytes(newest.read_bytes())  # a kill before its row
    with pytest.raises(RuntimeError):
        launch(replace(config, callbacks=[*config.callbacks, Halt()]))
    assert newest.exists()


def test_a_metric_of_several_values(config):
    linear, metric = config.model, keras.metrics.F1Score(threshold=0.5)
    launch(replace(config, max_epoch=1, model=lambda: linear(metrics=[metric])))
    assert "f1_score_0" in pd.read_csv(config.log_dir / "history.csv")
