import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.training.adam import fuse_adam

RNG = np.random.default_rng(0)
GRADIENTS = [RNG.normal(size=(5, 3)).astype("float32") for _ in range(6)]


def trained(optimizer, gradients=GRADIENTS):
    variable = keras.Variable(np.ones((5, 3), "float32"))
    optimizer.build([variable])
    step = tf.function(lambda gradient: optimizer.apply([gradient], [variable]))
    for gradient in gradients:
        step(gradient)
    return np.asarray(variable)


def fused(optimizer):
    fuse_adam(optimizer)
    assert optimizer.update_step.__module__ == "keras_vision.training.adam"
    return optimizer


SCHEDULE = keras.optimizers.schedules.CosineDecay(0.1, 6, warmup_steps=2, warmup_target=0.3)
ADAMS = [
    lambda: keras.optimizers.Adam(0.1),
    lambda: keras.optimizers.Adam(SCHEDULE, beta_1=0.8, beta_2=0.9, epsilon=1e-3),
    lambda: keras.optimizers.Adam(0.1, clipnorm=0.5),
    lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1),
]


@pytest.mark.parametrize("adam", ADAMS)
def test_the_same_steps_as_keras(adam):
    np.testing.assert_allclose(trained(fused(adam())), trained(adam()), rtol=1e-5)


def test_against_the_papers_algorithm():
    variable, m, v = np.ones((5, 3)), 0.0, 0.0
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        variable -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    np.testing.assert_allclose(trained(fused(keras.optimizers.Adam(0.1))), variable, rtol=1e-4)


def test_sparse_gradients_take_keras_way():
    def sparse():
        return [
            tf.IndexedSlices(g[:2], tf.constant([4, 0]), tf.constant([5, 3])) for g in GRADIENTS
        ]

    adam = keras.optimizers.Adam
    np.testing.assert_allclose(
        trained(fused(adam(0.1)), sparse()), trained(adam(0.1), sparse()), rtol=1e-5
    )


@pytest.mark.parametrize(
    "optimizer", [keras.optimizers.SGD(), keras.optimizers.Adam(amsgrad=True)]
)
def test_other_optimisers_are_left_alone(optimizer):
    fuse_adam(optimizer)
    assert "update_step" not in vars(optimizer)


def test_two_replicas(two_replicas):
    def model():
        inputs = keras.Input((5,))
        model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
        model.compile(keras.optimizers.Adam(0.1), "mse")
        fuse_adam(model.optimizer)
        return model

    x = RNG.normal(size=(24, 5)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :3])).batch(8, drop_remainder=True)
    weights = []
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            network = model()
        network.fit(data, epochs=2, verbose=0, shuffle=False)
        weights.append(network.get_weights()[0])
    np.testing.assert_allclose(*weights, atol=1e-5)
