import resource
import signal
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

from keras_vision.training import launch
from keras_vision.training.checkpoints import checkpoints


def newest_weights(log_dir):
    path = list(checkpoints(log_dir).values())[-1]
    return keras.saving.load_model(path).get_weights()


def test_a_full_disk_keeps_the_last_good_model(config):
    launch(replace(config, max_epoch=2))
    before = newest_weights(config.log_dir)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"model-9\.keras could not be saved.*Older .* intact"):
            launch(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in config.log_dir.glob("*model*")) == [
        "model-3.keras",
        "model-6.keras",
    ]
    np.testing.assert_array_equal(newest_weights(config.log_dir)[0], before[0])


@pytest.mark.parametrize("content", ["", "epoch,glob", "epoch,global_step\n1,x\n"])
def test_a_spoilt_history_is_named(config, content):
    launch(replace(config, max_epoch=2))
    (config.log_dir / "history.csv").write_text(content)
    with pytest.raises(ValueError, match=r"history\.csv is not the history of a run"):
        launch(config)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut_short, flipped])
def test_a_spoilt_checkpoint_gives_way_to_the_one_before(config, capsys, spoil):
    weights = launch(replace(config, log_dir=config.log_dir / "whole")).get_weights()
    launch(replace(config, max_epoch=3))
    spoil(config.log_dir / "model-9.keras")
    history = config.log_dir / "history.csv"
    launch(replace(config, max_epoch=2))  # which has nothing to do but to look
    out = capsys.readouterr().out
    assert "model-9.keras is not whole: going back to model-6.keras" in out
    assert "epoch 2 is done" in out
    assert pd.read_csv(history)["epoch"].tolist() == [1, 2]
    np.testing.assert_array_equal(launch(config).get_weights()[0], weights[0])
    assert "model-6.keras, epoch 2 is done" in capsys.readouterr().out
    assert pd.read_csv(history)["epoch"].tolist() == [1, 2, 3, 4]


def test_without_a_whole_checkpoint_nothing_is_begun_anew(config):
    launch(replace(config, max_epoch=1))
    cut_short(config.log_dir / "model-3.keras")
    with pytest.raises(ValueError, match=r"No checkpoint in .* is whole \(model-3\.keras\): rest"):
        launch(config)
    assert pd.read_csv(config.log_dir / "history.csv")["epoch"].tolist() == [1]


def test_a_whole_checkpoint_that_does_not_fit_is_refused(config):
    """Without run.json, which would have told."""
    launch(config)
    (config.log_dir / "run.json").unlink()

    def wider():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="fc")])
        model.compile("sgd", "mse")
        return model

    with pytest.raises(ValueError, match=r"model-12\.keras does not fit this model"):
        launch(replace(config, model=wider, max_epoch=9))
