import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from keras_vision.classification.probe import probe

RNG = np.random.default_rng(0)


def clouds(count, apart, classes=3, dimension=8, seed=1):
    """Points about a middle of each class, of which some numbers are large and some small."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    middle = np.random.default_rng(7).normal(size=(classes, dimension))
    points = apart * middle[labels] + random.normal(size=(count, dimension))
    return (10.0 ** np.arange(-4, dimension - 4) * points + 5).astype("float32"), labels


def test_what_is_apart_is_told_apart():
    found = probe(*clouds(300, 20), *clouds(200, 20, seed=2), epochs=15)
    assert found == 1
    assert isinstance(found, float)


def test_labels_that_mean_nothing():
    """Of 4 classes a quarter is right by chance."""
    features = RNG.normal(size=(3000, 8)).astype("float32")
    labels = RNG.integers(0, 4, 3000)
    found = probe(features[:1000], labels[:1000], features[1000:], labels[1000:], epochs=10)
    assert found == pytest.approx(1 / 4, abs=0.04)


@pytest.mark.parametrize(("apart", "classes"), [(0.5, 3), (0.3, 10)])
def test_as_a_logistic_regression(apart, classes):
    train, test = (clouds(2000, apart, classes, seed=seed) for seed in (1, 2))
    scale = StandardScaler().fit(train[0].astype("float64"))
    peer = LogisticRegression(max_iter=1000).fit(scale.transform(train[0]), train[1])
    expected = peer.score(scale.transform(test[0]), test[1])
    assert 1.5 / classes < expected < 0.95
    assert probe(*train, *test, epochs=20) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("value", [0.0, 0.1, 1234.567])
def test_constant_features_say_nothing(value):
    """And what is constant among the first only does no harm later."""
    constant = np.full((300, 8), value, "float32")
    labels = np.repeat([0, 0, 1], 100)  # 0 is the most frequent
    with np.errstate(all="raise"):
        found = probe(constant, labels, constant, labels, epochs=5)
    assert found == pytest.approx(2 / 3)
    (features, labels), (test, test_labels) = clouds(300, 20), clouds(200, 20, seed=2)
    features[:, 3:] = value * (1 + 1e-7 * RNG.normal(size=(300, 5)))  # but for rounding
    test[:, 3:] = value + RNG.normal(size=(200, 5))
    assert probe(features, labels, test, test_labels, epochs=15) > 0.95


def test_features_stay_as_they_are():
    (features, labels), (test, test_labels) = clouds(60, 20), clouds(40, 20, seed=2)
    before = features.copy(), test.copy()
    for array in (features, test, labels, test_labels):
        array.flags.writeable = False
    probe(features, labels, test, test_labels, epochs=2)
    np.testing.assert_array_equal(features, before[0])
    np.testing.assert_array_equal(test, before[1])


def test_lists_of_labels_and_classes_that_come_later():
    features, labels = clouds(90, 20)
    test, test_labels = clouds(40, 20, seed=2)
    found = probe(features, labels.tolist(), test, test_labels.tolist(), epochs=15)
    assert found == 1
    later = probe(features, labels, test, test_labels + 3, epochs=15)
    assert later == 0  # of classes that none of the first had


@pytest.mark.parametrize("scale", [1e-9, 1e12])
def test_features_of_any_size(scale):
    (features, labels), (test, test_labels) = clouds(300, 20), clouds(200, 20, seed=2)
    features, test = (scale * x.astype("float64") for x in (features, test))
    assert probe(features, labels, test, test_labels, epochs=15) == 1


def test_what_cannot_be_probed_is_told():
    features, labels = clouds(20, 20)
    missing = features.copy()
    missing[3, 2] = np.nan
    for wrong, message in [
        (
            (features, labels[:, None]),
            r"features \(N, D\) and labels \(N,\).*got \(20, 8\) and \(20, 1\)",
        ),
        ((features, labels[1:]), r"got \(20, 8\) and \(19,\)"),
        ((features[0], labels), r"got \(8,\) and \(20,\)"),
        ((features[:0], labels[:0]), r"one at least; got \(0, 8\) and \(0,\)"),
        ((features, labels - 1), r"expected labels 0, 1, 2 ..., got int64 such as"),
        ((features, labels / 2), r"expected labels 0, 1, 2 ..., got float64"),
        ((features, labels.astype(str)), r"expected labels 0, 1, 2 ..., got <U"),
        ((missing, labels), "expected finite features"),
    ]:
        with pytest.raises(ValueError, match=message):
            probe(*wrong, features, labels)
    with pytest.raises(ValueError, match=r"test features \(N, D\) and test labels"):
        probe(features, labels, features[:0], labels[:0])
    with pytest.raises(ValueError, match="test features of 8 numbers, as the others, got 7"):
        probe(features, labels, features[:, :7], labels)


def test_one_example():
    features, labels = clouds(1, 20)
    assert probe(features, labels, features, labels, epochs=1) in (0, 1)
