"""Pixels as vectors, and objects that are followed by them."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.classification import resnet
from keras_vision.metric_learning import pixels
from keras_vision.metric_learning.pixels import VOID, PixelTriplets, Places, jaccard, track
from keras_vision.training import TrainConfig, launch

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    return pixels.build(resnet.backbone(18, width=1 / 16, small=True), dim=6)


# 1. The network


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (7, 4), (40, 300)])
def test_places(height, width):
    found = Places()(np.zeros((2, height, width, 3), "float32")).numpy()
    assert found.shape == (2, height, width, 2)
    np.testing.assert_array_equal(found[0], found[1])
    for (axis, side), places in zip(
        enumerate((height, width)), (found[0, :, 0, 0], found[0, 0, :, 1]), strict=True
    ):
        # Centres of cells, of which there are so many between -1 and 1.
        np.testing.assert_allclose(places, (2 * np.arange(side) + 1 - side) / side, atol=1e-6)
        np.testing.assert_allclose(places, -places[::-1], atol=1e-6)
        other = np.moveaxis(found[0, :, :, axis], axis, 0)
        np.testing.assert_array_equal(other, np.broadcast_to(other[:, :1], other.shape))


def test_neighbours_have_places_of_their_own_in_bfloat16():
    found = Places(dtype="bfloat16")(np.zeros((1, 1, 240, 3), "float32"))
    assert found.dtype == tf.bfloat16
    assert len(np.unique(tf.cast(found, "float32")[0, 0, :, 1])) == 240


@pytest.mark.parametrize("size", [(16, 16), (33, 20), (24, 47)])
def test_unit_vectors_half_as_fine(model, size):
    frames = RNG.uniform(0, 255, (2, *size, 3)).astype("float32")
    found = model.predict(frames, verbose=0)
    assert found.shape == (2, *(-(-side // 2) for side in size), 6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=1e-5)


def test_the_same_picture_elsewhere_is_another():
    """Places see to that: without them, a picture of one colour would be of one vector inside."""
    model = pixels.build(resnet.backbone(18, width=1 / 16, small=True), dim=6)
    found = model.predict(np.full((1, 400, 16, 3), 90, "float32"), verbose=0)[0, 60:140, 4]
    assert np.abs(np.diff(found, axis=0)).sum(0).max() > 0.01
    assert (found[1:] != found[:-1]).any(1).all()


def test_its_own_backbone():
    found = pixels.build().count_params()
    assert found == pixels.build(resnet.backbone(18, width=0.25, small=True), 32).count_params()


def test_saved_and_loaded(model, tmp_path):
    model.compile("sgd", PixelTriplets(0.2, every=3))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    frames = RNG.uniform(0, 255, (2, 21, 16, 3)).astype("float32")
    np.testing.assert_array_equal(again(frames), model(frames))
    assert again.loss.get_config() == model.loss.get_config()
    assert (again.loss.margin, again.loss.every) == (0.2, 3)


def test_mixed_precision(model):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = pixels.build(resnet.backbone(18, width=1 / 16, small=True), dim=6)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    frames = RNG.uniform(0, 255, (1, 24, 24, 3)).astype("float32")
    found = mixed(frames)
    assert found.dtype == tf.float32
    assert np.sum(found * model(frames), axis=-1).mean() > 0.99


# 2. The loss


def loop(margin, every):
    """Pixel by pixel, both ways; of label maps that are finer, those that the vectors lie at."""

    def loss(labels, vectors):
        frames, rows, columns, _ = vectors.shape
        down, right = -(-labels.shape[1] // rows), -(-labels.shape[2] // columns)
        places = [(i, j) for i in range(0, rows, every) for j in range(0, columns, every)]
        means = []
        for first, second in ((0, 1), (1, 0)):
            costs = []
            for clip in range(0, frames, 2):
                there = [
                    (labels[clip + second, i * down, j * right], vectors[clip + second, i, j])
                    for i, j in places
                ]
                for i, j in places:
                    own, z = labels[clip + first, i * down, j * right], vectors[clip + first, i, j]
                    near = [tf.reduce_sum((z - to) ** 2) for label, to in there if label == own]
                    far = [
                        tf.reduce_sum((z - to) ** 2)
                        for label, to in there
                        if label not in (own, VOID)
                    ]
                    if own != VOID and near and far:
                        costs.append(tf.maximum(0.0, margin + min(near) - min(far)))
            means.append(sum(costs) / len(costs) if costs else tf.constant(0.0))
        return sum(means) / 2

    return loss


def unit(*shape):
    z = RNG.normal(size=shape).astype("float32")
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def value_and_gradient(loss, labels, z):
    z = tf.convert_to_tensor(z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        # Gradients of unit vectors: what points away from the sphere is not of the loss.
        value = loss(labels, z / tf.norm(z, axis=-1, keepdims=True))
    return value, tape.gradient(value, z, unconnected_gradients="zero")


CASES = {
    "as fine": ((4, 3), (4, 3), 1),
    "twice as fine": ((8, 6), (4, 3), 1),
    "odd": ((9, 7), (5, 4), 1),
    "odd, even": ((9, 8), (5, 4), 2),
    "every second": ((12, 10), (6, 5), 2),
    "every third, four times as fine": ((27, 29), (7, 8), 3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("void", [False, True])
def test_triplets_equal_the_loop(case, void):
    size, cells, every = CASES[case]
    labels = RNG.integers(0, 3, (4, *size)).astype("int32")
    if void:
        labels[RNG.uniform(size=labels.shape) < 0.3] = VOID
    z = unit(4, *cells, 3)
    found = value_and_gradient(PixelTriplets(0.5, every), labels, z)
    expected = value_and_gradient(loop(0.5, every), labels, z)
    assert expected[0] > 0.01
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)


@pytest.mark.parametrize("label", [0, 2, VOID])
def test_a_clip_of_one_object_costs_nothing(label):
    z = unit(2, 4, 4, 3)
    value, gradient = value_and_gradient(PixelTriplets(), np.full((2, 8, 8), label), z)
    assert value == 0
    assert not np.any(gradient)


def test_clips_are_not_compared_with_one_another():
    labels = RNG.integers(0, 2, (4, 4, 4))
    z = unit(4, 4, 4, 3)
    labels[2:] = 0  # the second has nothing to compare
    value, gradient = value_and_gradient(PixelTriplets(every=1), labels, z)
    alone = PixelTriplets(every=1)(labels[:2], z[:2])
    np.testing.assert_allclose(value, alone, rtol=1e-6)
    assert not np.any(gradient[2:])


def test_what_lies_between_does_not_count():
    labels, z = RNG.integers(0, 3, (2, 8, 8)), unit(2, 4, 4, 3)
    expected = PixelTriplets(every=2)(labels, z)
    between = np.ones((8, 8), bool)
    between[::4, ::4] = False
    labels[:, between] = 7
    z[:, 1::2] = unit(2, 2, 4, 3)
    assert PixelTriplets(every=2)(labels, z) == expected > 0


def test_compiled_of_any_size():
    loss = PixelTriplets(0.5, 2)
    signature = tf.TensorSpec((None,) * 3, tf.int32), tf.TensorSpec((None, None, None, 3))
    labels, z = RNG.integers(0, 3, (4, 9, 6)).astype("int32"), unit(4, 5, 3, 3)
    compiled = tf.function(loss, input_signature=signature)
    np.testing.assert_allclose(compiled(labels, z), loss(labels, z), rtol=1e-5)


def test_two_replicas_train_as_one(two_replicas, tmp_path):
    """A clip's two frames lie on different ones."""
    frames = RNG.normal(size=(2, 6, 6, 3)).astype("float32")
    data = tf.data.Dataset.from_tensors((frames, RNG.integers(0, 3, (2, 6, 6)))).repeat()

    def model():
        inputs = keras.Input((6, 6, 3))
        outputs = keras.layers.UnitNormalization()(keras.layers.Dense(4)(inputs))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.1), PixelTriplets(0.5, every=1))
        return model

    trained = []
    for folder, strategy in (("one", None), ("two", two_replicas)):
        config = TrainConfig(model, lambda *_: data, 3, max_epoch=1, log_dir=tmp_path / folder)
        trained.append(launch(config, strategy).get_weights())
    for one, two in zip(*trained, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    assert np.abs(trained[0][0] - model().get_weights()[0]).max() > 1e-3


# 3. Tracking


def by_colour(stride=1):
    """A model that embeds the colour of each pixel, or the mean of several."""

    def predict(frames):
        assert frames.dtype == np.float32
        rows, columns = (-(-side // stride) for side in frames.shape[1:3])
        z = np.array(tf.image.resize(frames, (rows, columns), antialias=True)) - 127.5
        return z / np.linalg.norm(z, axis=-1, keepdims=True)

    return SimpleNamespace(predict_on_batch=predict)


COLOURS = np.array([[40, 60, 50], [250, 30, 20], [30, 240, 60], [20, 40, 250]], "uint8")


def film(size, frames=4):
    """Label maps of three rectangles that move, and what they look like."""
    height, width = size
    label_maps = np.zeros((frames, height, width), "int32")
    for time, labels in enumerate(label_maps):
        labels[4 + time : 14 + time, 3:13] = 1
        labels[height - 12 : height - 2, 4 + 2 * time : 16 + 2 * time] = 2
        labels[6:15, width - 12 - time : width - 3 - time] = 3
    return label_maps, COLOURS[label_maps]


@pytest.mark.parametrize("size", [(33, 37), (32, 40)])
def test_perfect_vectors_find_all(size):
    label_maps, frames = film(size)
    found = track(by_colour(), frames, label_maps[0])
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, label_maps)
    again = track(by_colour(), frames.astype("float32"), label_maps[0].astype("uint8"))
    np.testing.assert_array_equal(again, label_maps)
    assert jaccard(label_maps, found) == 1


@pytest.mark.parametrize("size", [(33, 37), (32, 40)])
def test_coarse_vectors_miss_edges_only(size):
    label_maps, frames = film(size)
    found = track(by_colour(2), frames, label_maps[0])
    assert found.shape == label_maps.shape
    assert jaccard(label_maps, found) > 0.8
    wrong = found != label_maps
    for time, label in np.ndindex(4, 4):
        inside = label_maps[time] == label
        for axis, by in ((0, 1), (0, -1), (1, 1), (1, -1)):
            inside &= np.roll(label_maps[time] == label, by, axis)
        assert not (wrong[time] & inside & np.roll(inside, 1, 0) & np.roll(inside, 1, 1)).any()


def test_one_frame_and_one_object():
    label_maps, frames = film((32, 40))
    np.testing.assert_array_equal(track(by_colour(), frames[:1], label_maps[0]), label_maps[:1])
    nothing = track(by_colour(), frames, np.zeros((32, 40), int))
    assert not nothing.any()
    mask = track(by_colour(), frames, label_maps[0] == 2)
    np.testing.assert_array_equal(mask, label_maps == 2)


def test_void_counts_as_background():
    label_maps, frames = film((32, 40))
    first = label_maps[0].copy()
    first[first == 0] = np.where(RNG.uniform(size=(first == 0).sum()) < 0.2, VOID, 0)
    found = track(by_colour(), frames, first)
    np.testing.assert_array_equal(found, label_maps)


def test_neighbours_vote():
    """Of 3 neighbours two outvote the nearest; more than there are, are all."""
    z = np.float32([[1, 0], [0.99, 0.14], [0.98, 0.2], [-1, 0]])
    votes = np.eye(2, dtype="float32")[[0, 1, 1, 0]]
    nearest = z[:1]
    np.testing.assert_allclose(pixels.elected(nearest, z, votes, 1), [[1, 0]])
    np.testing.assert_allclose(pixels.elected(nearest, z, votes, 3), [[1 / 3, 2 / 3]])
    for many in (4, 5, 100):
        np.testing.assert_allclose(pixels.elected(nearest, z, votes, many), [[1 / 2, 1 / 2]])
    frames = COLOURS[[[[0, 1]], [[1, 0]]]]
    assert track(by_colour(), frames, np.array([[0, 1]])).shape == (2, 1, 2)
    found = track(by_colour(), frames, np.array([[0, 1]]), neighbours=1)
    np.testing.assert_array_equal(found, [[[0, 1]], [[1, 0]]])


def test_blocks_change_nothing(monkeypatch):
    label_maps, frames = film((33, 37))
    expected = track(by_colour(2), frames, label_maps[0])
    for block in (1, 5000):
        monkeypatch.setattr(pixels, "BLOCK", block)
        found = track(by_colour(2), frames[:2], label_maps[0])
        np.testing.assert_array_equal(found, expected[:2])


def test_a_network_tracks(model):
    label_maps, frames = film((33, 37), 3)
    assert track(model, frames, label_maps[0]).shape == (3, 33, 37)


@pytest.mark.parametrize(
    ("frames", "labels"),
    [
        ((4, 8, 9, 3), (8, 8)),
        ((8, 9, 3), (8, 9)),
        ((0, 8, 9, 3), (8, 9)),
        ((4, 8, 9, 3), (4, 8, 9)),
    ],
)
def test_sizes_that_do_not_fit(frames, labels):
    with pytest.raises(ValueError, match=r"expected frames \(T, H, W, 3\)") as caught:
        track(by_colour(), np.zeros(frames), np.zeros(labels, int))
    assert str(frames) in str(caught.value)
    assert str(labels) in str(caught.value)


@pytest.mark.parametrize(("number", "neighbours"), [(-1, 5), (0.5, 5), (1, 0)])
def test_labels_and_neighbours_that_are_none(number, neighbours):
    labels = np.full((4, 4), number)
    with pytest.raises(
        ValueError, match=r"expected labels 0, 1, 2 \.\.\. and a neighbour at least"
    ):
        track(by_colour(), np.zeros((2, 4, 4, 3)), labels, neighbours)


# 4. DAVIS' J


def mean_overlap(label_maps, found):
    values = []
    for number in set(label_maps[0].ravel()) - {0, VOID}:
        for truth, told in zip(label_maps[1:], found[1:], strict=True):
            both = either = 0
            for a, b in zip(truth.ravel(), told.ravel(), strict=True):
                if a != VOID:
                    both += a == b == number
                    either += number in (a, b)
            values.append(both / either if either else 1)
    return np.mean(values)


@pytest.mark.parametrize("void", [False, True])
def test_jaccard_equals_the_loop(void):
    label_maps = RNG.integers(0, 4, (5, 6, 7))
    found = np.where(RNG.uniform(size=(5, 6, 7)) < 0.6, label_maps, RNG.integers(0, 4, (5, 6, 7)))
    if void:
        label_maps[RNG.uniform(size=label_maps.shape) < 0.3] = VOID
    value = jaccard(label_maps, found)
    assert isinstance(value, float)
    assert value == pytest.approx(mean_overlap(label_maps, found))
    assert 0.3 < value < 0.9


def test_objects_that_vanish():
    label_maps, found = np.zeros((2, 3, 4, 4), int)
    label_maps[0, 0], label_maps[0, 1], label_maps[1, 0] = 1, 2, 1
    found[1, 0] = 1
    assert jaccard(label_maps, found) == 1  # neither is there nor found where it vanished
    found[2, 3] = 2
    assert jaccard(label_maps, found) == 3 / 4
    found[1] = 0
    assert jaccard(label_maps, found) == 2 / 4


def test_what_the_first_frame_does_not_show_cannot_be_followed():
    label_maps = np.zeros((3, 4, 4), int)
    label_maps[:, 0], label_maps[1:, 2] = 3, 2  # and number 1 is nowhere
    assert jaccard(label_maps, np.where(label_maps == 3, 3, 0)) == 1


def test_unequal_shapes_are_not_compared():
    with pytest.raises(ValueError, match=r"got \(3, 4, 4\) and \(1, 4, 4\)"):
        jaccard(np.ones((3, 4, 4), int), np.ones((1, 4, 4), int))


def test_nothing_to_follow():
    label_maps = np.zeros((3, 4, 4), int)
    assert np.isnan(jaccard(label_maps, label_maps))
    assert jaccard(label_maps + 1, label_maps) == 0
    assert np.isnan(jaccard(label_maps[:1] + 1, label_maps[:1] + 1))
    assert np.isnan(jaccard(label_maps + VOID, label_maps))
