"""`launch(config)`: tensorpack's entry point as a thin layer over `model.fit`."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path

import filelock
import keras
import tensorflow as tf

from keras_vision.training.adam import fuse_adam
from keras_vision.training.callbacks import (
    FreshRandomness,
    History,
    Log,
    ModelSaver,
    StopOnNaN,
    say,
)
from keras_vision.training.checkpoints import finished, restore
from keras_vision.training.machines import OwnCopy, agree_on, copy_of
from keras_vision.training.strategy import agree_with_one, default_strategy, is_of_keras
from keras_vision.training.table import variable_table


def launch(config, strategy=None):
    """Trains `config.model` until `config.max_epoch` epochs are done, and returns the model.

    Run again after a kill, it goes on behind the last finished epoch and ends with the very
    weights that an uninterrupted run would have.

    strategy: of `tf.distribute`, or `keras.distribution.DataParallel` on the JAX backend; by
        default what uses all GPUs, under JAX those of all machines.
    Raises FloatingPointError when the loss is no number any more, RuntimeError when another run
    is at work in `log_dir`, and OSError when a checkpoint cannot be written.
    """
    log_dir = Path(config.log_dir)
    log_dir.mkdir(parents=True, exist_ok=True)
    strategy = strategy or default_strategy()
    build = partial(built, config.model, config.seed, config.precision)
    with only_run_in(log_dir), tf.summary.create_file_writer(str(log_dir)).as_default():
        first_epoch, checkpoint = finished(log_dir, config.steps_per_epoch)
        shared = is_of_keras(strategy)
        if shared:
            agree_on(first_epoch)
        with strategy.scope():
            model = build()
            print(variable_table(model), flush=True)
            fuse_adam(model.optimizer)
            if checkpoint:
                restore(model, checkpoint)
                say(f"Resuming from {checkpoint}, epoch {first_epoch} is done")
        own = copy_of(model, build()) if shared else model
        if first_epoch >= config.max_epoch:
            say(f"{log_dir} has {first_epoch} epochs already: raise max_epoch to go on")
            return own
        dataset = config.dataflow(first_epoch * config.steps_per_epoch, config.seed)
        model.steps_per_execution = largest_divisor(
            config.steps_per_epoch, model.steps_per_execution
        )
        agree_with_one(model, dataset, strategy)
        within = [Log(), StopOnNaN(), FreshRandomness(config.seed)]
        if shared:
            within.append(OwnCopy(own, strategy))
        between = [*config.callbacks, History()]
        if not any(isinstance(callback, ModelSaver) for callback in between):
            between.insert(0, ModelSaver())
        callbacks = keras.callbacks.CallbackList(
            [*within, *between],
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
        return own


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


def built(model, seed, precision):
    """What `model()` returns under this dtype policy, with the weights that the seed gives."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        keras.utils.set_random_seed(seed)
        return model()
    finally:
        keras.config.set_dtype_policy(before)


def largest_divisor(number, limit):
    """Keras would train past the epoch's end if this many steps at a time did not divide it."""
    return next(divisor for divisor in range(limit, 0, -1) if number % divisor == 0)
