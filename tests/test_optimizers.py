import keras
import numpy as np
import pytest

from keras_vision.optimizers import Muon, warmup_cosine

RNG = np.random.default_rng(0)


def stepped(optimizer, kernel, gradient, name="kernel"):
    variable = keras.Variable(kernel, name=name)
    optimizer.build([variable])
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return np.asarray(variable) - kernel


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (1, 1, 4, 30), (4, 4, 6, 5)])
def test_all_singular_values_of_a_kernels_step_are_alike(shape):
    """They are rate x 0.2 x root of the longer side, as far as the iteration is exact."""
    kernel, gradient = RNG.normal(size=(2, *shape)).astype("float32")
    step = stepped(Muon(0.01), kernel, gradient).reshape(-1, shape[-1])
    values = np.linalg.svd(step, compute_uv=False) / (0.01 * 0.2 * max(step.shape) ** 0.5)
    assert values.min() > 0.6
    assert values.max() < 1.3
    left, _, right = np.linalg.svd(gradient.reshape(step.shape), full_matrices=False)
    cosine = -np.sum(step * (left @ right)) / np.linalg.norm(step) / np.linalg.norm(left @ right)
    assert cosine > 0.97


def test_of_a_matrix_it_is_keras_own():
    kernel, gradient = RNG.normal(size=(2, 6, 9)).astype("float32")
    steps = [stepped(cls(0.01), kernel, gradient) for cls in (Muon, keras.optimizers.Muon)]
    np.testing.assert_allclose(*steps, atol=1e-6)


def test_what_is_left_to_adam():
    optimizer = Muon(0.01, weight_decay=0, adam_weight_decay=0, exclude_layers=["logits"])
    bias, gradient = RNG.normal(size=(2, 9)).astype("float32")
    step = stepped(Muon.from_config(optimizer.get_config()), bias, gradient)
    np.testing.assert_allclose(step, -0.01 * np.sign(gradient), atol=1e-4)
    kernel, gradient = RNG.normal(size=(2, 3, 3, 4, 5)).astype("float32")
    step = stepped(optimizer, kernel, gradient, "logits_kernel")
    np.testing.assert_allclose(step, -0.01 * np.sign(gradient), atol=1e-4)


def test_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3)])
    model.compile(Muon(0.01, exclude_layers=["x"]), "mse")
    x, y = RNG.normal(size=(2, 8, 8, 1)), RNG.normal(size=(2, 6, 6, 4))
    model.train_on_batch(x, y)
    model.save(tmp_path / "a.keras")
    twin = keras.models.load_model(tmp_path / "a.keras")
    assert isinstance(twin.optimizer, Muon)
    losses = [[float(m.train_on_batch(x, y)) for _ in range(3)] for m in (model, twin)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(("steps", "warmup"), [(200, 20), (3200, 300), (5, 0)])
def test_a_rate_rises_in_a_tenth_of_the_steps_at_most_300_and_falls_to_zero(steps, warmup):
    schedule = warmup_cosine(0.2, steps)
    rates = np.array([float(schedule(step)) for step in range(steps + 1)])
    assert rates[0] == pytest.approx(0.01 if warmup else 0.2)
    assert rates.argmax() == warmup
    assert rates.max() == pytest.approx(0.2)
    assert (np.diff(rates[: warmup + 1]) > 0).all()
    falling = 0.1 * (1 + np.cos(np.linspace(0, np.pi, steps - warmup + 1)))
    np.testing.assert_allclose(rates[warmup:], falling, atol=1e-6)
