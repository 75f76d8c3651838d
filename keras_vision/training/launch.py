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
    WholeEpochs,
    say,
)
from keras_vision.training.checkpoints import finished, restore, same_as_begun
from keras_vision.training.machines import HandBack, OwnCopy, agree_on, copy_of
from keras_vision.training.strategy import agree_with_one, default_strategy, is_of_keras
from keras_vision.training.table import variable_table


def launch(config, strategy=None):
    """Trains `config.model` until `config.max_epoch` epochs are done, and returns the model.

    Run again after a kill, it goes on behind the last finished epoch and ends with the very
    weights that an uninterrupted run would have.

    strategy: of `tf.distribute`, or `keras.distribution.DataParallel` on the JAX backend; by
        default what uses all GPUs, under JAX those of all machines.
    Raises FloatingPointError when the loss or the weights are no numbers any more, RuntimeError
    when another run is at work in `log_dir`, ValueError where the run there was begun with another
    model or other settings, and OSError when a checkpoint cannot be written.
    """
    log_dir = Path(config.log_dir)
    log_dir.mkdir(parents=True, exist_ok=True)
    strategy = strategy or default_strategy()
    shared = is_of_keras(strategy)
    with only_run_in(log_dir), tf.summary.create_file_writer(str(log_dir)).as_default():
        same_as_begun(
            log_dir,
            seed=config.seed,
            precision=config.precision,
            steps_per_epoch=config.steps_per_epoch,
        )
        first_epoch, checkpoint = finished(log_dir, config.steps_per_epoch)
        if shared:
            agree_on(first_epoch)
        build = partial(built, config.model, config.seed, config.precision)
        with strategy.scope():
            model = build()
            print(variable_table(model), flush=True)
            fuse_adam(model.optimizer)
            if checkpoint:
                restore(model, checkpoint)
                say(f"Resuming from {checkpoint}, epoch {first_epoch} is done")
        if first_epoch >= config.max_epoch:
            say(f"{log_dir} has {first_epoch} epochs already: raise max_epoch to go on")
        own = copy_of(model, build()) if shared else model
        dataset = config.dataflow(first_epoch * config.steps_per_epoch, config.seed)
        model.steps_per_execution = largest_divisor(
            config.steps_per_epoch, model.steps_per_execution
        )
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


def with_saver_and_history(callbacks):
    """Callbacks run in their order: what a checkpoint should hold must be done before it."""
    saver = any(isinstance(callback, ModelSaver) for callback in callbacks)
    return [*callbacks, *([] if saver else [ModelSaver()]), History()]


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
        network = model()
    finally:
        keras.config.set_dtype_policy(before)
    if not (network.built and network.compiled):
        raise ValueError(
            f"TrainConfig.model returned a {type(network).__name__} that is not "
            f"{'compiled: call compile()' if network.built else 'built: give it a keras.Input'}"
        )
    network.optimizer.build(network.trainable_variables)  # to be restored and copied
    return network


def largest_divisor(number, limit):
    """Keras would train past the epoch's end if this many steps at a time did not divide it."""
    return next(divisor for divisor in range(limit, 0, -1) if number % divisor == 0)
