"""Models, losses and metrics are written in `keras.ops`: under Keras' JAX backend they agree."""

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_vision import colorization

JAX = """
import sys
import keras
import numpy as np

from keras_vision import colorization

assert keras.backend.backend() == "jax"
folder = sys.argv[1]
given = np.load(f"{folder}/given.npz")
model = colorization.build(weights=f"{folder}/model.keras")
photo = colorization.colorize(model, given["photo"])
model.compile(
    keras.optimizers.SGD(0.01),
    colorization.RebalancedCrossEntropy(given["prior"]),
    metrics=[colorization.AuC(given["prior"]), colorization.ChromaRatio()],
)
logits = model.predict_on_batch(given["lightness"])
scores = model.evaluate(given["lightness"], given["ab"], verbose=0)
loss = model.train_on_batch(given["lightness"], given["ab"])[0]
after = model.predict_on_batch(given["lightness"])
np.savez(f"{folder}/jax.npz", photo=photo, logits=logits, scores=scores, loss=loss, after=after)
"""


@pytest.mark.slow
def test_the_colouriser_under_jax(tmp_path):
    import keras

    rng = np.random.default_rng(0)
    given = {
        "photo": rng.integers(0, 256, (30, 50, 3)).astype("uint8"),
        "lightness": rng.uniform(0, 100, (2, 32, 40, 1)).astype("float32"),
        "ab": rng.uniform(-60, 60, (2, 32, 40, 2)).astype("float32"),
        "prior": rng.dirichlet(np.full(313, 0.3)),
    }
    np.savez(tmp_path / "given.npz", **given)
    model = colorization.build(width=1 / 16)
    model.save(tmp_path / "model.keras")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", JAX, tmp_path], env=environment, check=True, timeout=300)
    under_jax = np.load(tmp_path / "jax.npz")

    photo = colorization.colorize(model, given["photo"])
    np.testing.assert_allclose(under_jax["photo"].astype(int), photo, atol=1)
    model.compile(
        keras.optimizers.SGD(0.01),
        colorization.RebalancedCrossEntropy(given["prior"]),
        metrics=[colorization.AuC(given["prior"]), colorization.ChromaRatio()],
    )
    inputs = given["lightness"], given["ab"]
    np.testing.assert_allclose(under_jax["logits"], model.predict_on_batch(inputs[0]), atol=1e-4)
    np.testing.assert_allclose(under_jax["scores"], model.evaluate(*inputs, verbose=0), rtol=1e-4)
    np.testing.assert_allclose(under_jax["loss"], model.train_on_batch(*inputs)[0], rtol=1e-4)
    np.testing.assert_allclose(under_jax["after"], model.predict_on_batch(inputs[0]), atol=1e-3)
