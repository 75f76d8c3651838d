"""`launch(config)`: tensorpack's entry point as a thin layer over `model.fit`."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path

import filelock
import keras
import tensorflow as tf

from keras_vision.training.adam import fuse_adam
from keras_vision.training.checkpoints import finished, restore
from keras_vision.training.evaluation import evaluated_first
from keras_vision.training.guards import FreshRandomness, StopOnNaN, WholeEpochs
from keras_vision.training.log import Log, say
from keras_vision.training.machines import HandBack, OwnCopy, agree_on, copy_of
from keras_vision.training.returned import built, divide_evenly, endless
from keras_vision.training.settings import same_as_begun
from keras_vision.training.strategy import agree_with_one, default_strategy, is_of_keras, known
from keras_vision.training.table import variable_table
from keras_vision.training.writers import History, ModelSaver, PictureWriter


def launch(config, strategy=None):
    """Trains `config.model` until `config.max_epoch` epochs are done, and returns the model.

    Run again after a kill, it goes on behind the last finished epoch and ends with the very
    weights that an uninterrupted run would have.

    strategy: of `tf.distribute`, or `keras.distribution.DataParallel` on the JAX backend; by
        default what uses all GPUs, under JAX those of all machines.
    Raises FloatingPointError when the loss or the weights are no numbers any more, RuntimeError
    when another run is at work in `log_dir`, ValueError where the run there was begun with another
    model or other settings (run.json holds them), OSError when a checkpoint cannot be written, and
    TypeError or ValueError where a function of `config` does not return what it should.
    """
    log_dir = made(config.log_dir)
    strategy = known(strategy or default_strategy())
    shared = is_of_keras(strategy)
    with only_run_in(log_dir), tf.summary.create_file_writer(str(log_dir)).as_default():
        build = partial(built, config.model, config.seed, config.precision)
        with strategy.scope():
            model = build()
        same_as_begun(
            log_dir,
            seed=config.seed,
            precision=config.precision,
            steps_per_epoch=config.steps_per_epoch,
            backend=keras.backend.backend(),
            optimizer=model.optimizer,
            loss=model.loss,
            loss_weights=getattr(model._compile_loss, "_user_loss_weights", None),
            dataflow=config.dataflow,
            model=model,
        )
        first_epoch, checkpoint = finished(log_dir, config.steps_per_epoch)
        if shared:
            agree_on(first_epoch)
        with strategy.scope():
            print(variable_table(model), flush=True)
            fuse_adam(model.optimizer)
            if checkpoint:
                restore(model, checkpoint)
                say(f"Resuming from {checkpoint}, epoch {first_epoch} is done")
        if first_epoch >= config.max_epoch:
            say(f"{log_dir} has {first_epoch} epochs already: raise max_epoch to go on")
        own = copy_of(model, build()) if shared else model
        dataset = endless(config.dataflow(first_epoch * config.steps_per_epoch, config.seed))
        divide_evenly(model, config.steps_per_epoch)
        agree_with_one(model, dataset, strategy)
        between = with_saver_and_history(config.callbacks)
        callbacks = keras.callbacks.CallbackList(
            [
                *(Log(), StopOnNaN(), WholeEpochs()),
                *([OwnCopy(own, strategy), *between, HandBack(own)] if shared else between),
                FreshRandomness(config.seed),
            ],
            add_history=True,
            model=model,
            epochs=config.max_epoch,
            steps=config.steps_per_epoch,
            log_dir=log_dir,
        )
        for callback in between:
            callback.set_model(own)
        try:
            with strategy.scope():
                model.fit(
                    dataset,
                    epochs=config.max_epoch,
                    steps_per_epoch=config.steps_per_epoch,
                    initial_epoch=first_epoch,
                    callbacks=callbacks,
                    shuffle=False,
                    verbose=0,
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped. To go on, run again with log_dir {log_dir}"
            ) from None
        return copy_of(model, own) if shared else model


def made(log_dir):
    """The folder, made where there is none."""
    try:
        folder = Path(log_dir)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, TypeError) as error:
        raise type(error)(f"TrainConfig.log_dir must be a folder for the run: {error}") from None
    return folder


def with_saver_and_history(callbacks):
    """Callbacks run in their order: what a checkpoint should hold must be done before it."""
    saver = any(isinstance(callback, ModelSaver) for callback in callbacks)
    folders = [callback.name for callback in callbacks if isinstance(callback, PictureWriter)]
    if len(set(folders)) < len(folders):
        raise ValueError(
            f"PictureWriters write to {', '.join(folders)}: give each a name of its own."
        )
    return [*evaluated_first(callbacks), *([] if saver else [ModelSaver()]), History()]


@contextmanager
def only_run_in(log_dir):
    """Refuses a second run in the same folder. The lock dies with its process, even by kill -9."""
    try:
        with filelock.FileLock(log_dir / "lock", blocking=False):
            yield
    except filelock.Timeout:
        raise RuntimeError(
            f"Another run is training in {log_dir}: choose another log_dir."
        ) from None
