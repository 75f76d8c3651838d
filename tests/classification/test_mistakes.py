import numpy as np

from keras_vision.classification import mistakes


def test_the_costliest_first():
    logits = np.log([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.9, 0.09, 0.01]])
    table = mistakes(np.uint8([0, 0, 2, 2]), logits)
    assert table["example"].tolist() == [3, 1, 2]
    assert table["label"].tolist() == [2, 0, 2]
    assert table["predicted"].tolist() == [0, 1, 1]
    np.testing.assert_allclose(table["loss"], -np.log([0.01, 0.1, 0.3]), rtol=1e-5)


def test_none():
    assert len(mistakes([1, 0], [[0.0, 1.0], [1.0, 0.0]])) == 0
