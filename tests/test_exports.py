"""What `model.export` writes is run by others than Keras, and answers as the model does."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vision import colorization
from keras_vision.classification import mnist_convnet

pytestmark = [
    pytest.mark.slow,
    # Of Keras' exporter, and of TensorFlow, which still has the interpreter.
    pytest.mark.filterwarnings("ignore:.*np.object:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]

ANY_SIZE = ((2, 64, 64), (1, 37, 50), (1, 8, 129), (3, 1, 1))
NETWORKS = {
    "colours": (lambda: colorization.build(weights="tiny_imagenet"), ANY_SIZE),
    "L2 twin": (lambda: colorization.build(bins=None, weights="tiny_imagenet"), ANY_SIZE),
    "digits": (lambda: mnist_convnet.build(weights="mnist"), ((5, 28, 28), (1, 28, 28))),
}


def saved_model(path):
    loaded = tf.saved_model.load(path)
    return lambda x: loaded.serve(x)  # holds on to the variables, too


def litert(path):
    interpreter = tf.lite.Interpreter(str(path))
    (place,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x):
        interpreter.resize_tensor_input(place["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return lambda x: session.run(None, {session.get_inputs()[0].name: x})[0]


RUNTIMES = {
    "tf_saved_model": ("", saved_model),
    "litert": (".tflite", litert),
    "onnx": (".onnx", onnx),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    build, sizes = NETWORKS[request.param]
    return build(), sizes


@pytest.mark.parametrize("kind", RUNTIMES)
def test_runtimes_answer_as_keras_does(tmp_path, network, kind):
    model, sizes = network
    suffix, load = RUNTIMES[kind]
    path = tmp_path / f"network{suffix}"
    model.export(path, format=kind, verbose=False)
    run = load(path)
    for number, size in enumerate(sizes):
        x = np.random.default_rng(number).uniform(0, 100, (*size, 1)).astype("float32")
        expected = model.predict_on_batch(x)
        answer = np.asarray(run(x))
        assert answer.shape == expected.shape
        np.testing.assert_allclose(answer, expected, atol=3e-6 * np.abs(expected).max())
