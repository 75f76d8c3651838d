"""The papers' loops, written plainly, are the oracles; pytorch-metric-learning where it agrees."""

import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.metric_learning import losses
from keras_vision.metric_learning.losses import (
    ContrastiveLoss,
    InfoNCE,
    MarginLoss,
    NPairs,
    NTXent,
    TripletLoss,
)
from keras_vision.training import TrainConfig, launch

GOLDEN = Path(__file__).with_name("golden_losses.npz")
IDS = np.array([3, 3, 7, 7, 7, 1, 1, 9])  # of which 9 is alone
ALL = {
    "contrastive": ContrastiveLoss(),
    "half": ContrastiveLoss(0.8, "half"),
    "linear": ContrastiveLoss(1.2, "linear"),
    "all": TripletLoss(0.3),
    "all, not squared": TripletLoss(0.3, squared=False),
    "hard": TripletLoss(0.3, mining="hard"),
    "hard, not squared": TripletLoss(0.3, False, "hard"),
    "semi_hard": TripletLoss(0.3, mining="semi_hard"),
    "semi_hard, not squared": TripletLoss(0.3, False, "semi_hard"),
    "distance_weighted": TripletLoss(0.3, mining="distance_weighted"),
    "margin": MarginLoss(),
    "nt_xent": NTXent(0.3),
    "info_nce": InfoNCE(0.5),
    "n_pairs": NPairs(0.02),
}
every = pytest.mark.parametrize("loss", ALL.values(), ids=ALL)


def vectors(count=8, dimension=4, seed=0):
    z = np.random.default_rng(seed).normal(size=(count, dimension)).astype("float32")
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def value_and_gradient(loss, ids, z):
    z = tf.convert_to_tensor(z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(ids, z)
    gradient = tape.gradient(value, z)
    return value, tf.zeros_like(z) if gradient is None else gradient


# 1. Loops: (ids, z) -> value, in TensorFlow, which knows its gradient


def distance(a, b, squared=False):
    square = tf.reduce_sum((a - b) ** 2)
    return square if squared else tf.sqrt(square)


def average(values):
    return sum(values) / len(values) if values else tf.constant(0.0)


def of_pairs(ids):
    numbers = range(len(ids))
    positive = [(i, j) for i, j in product(numbers, numbers) if i != j and ids[i] == ids[j]]
    return positive, [(i, j) for i, j in product(numbers, numbers) if ids[i] != ids[j]]


def contrastive(convention, margin):
    def loop(ids, z):
        positive, negative = of_pairs(ids)
        power = 1 if convention == "linear" else 2
        near = [distance(z[i], z[j]) ** power for i, j in positive]
        far = [tf.maximum(0.0, margin - distance(z[i], z[j])) ** power for i, j in negative]
        return (average(near) + average(far)) * (0.5 if convention == "half" else 1)

    return loop


def triplet(mining, squared, margin=0.3):
    def loop(ids, z):
        def d(i, j):
            return distance(z[i], z[j], squared)

        positive, negative = of_pairs(ids)
        chosen = []
        for a in range(len(ids)):
            near = [p for i, p in positive if i == a]
            far = [n for i, n in negative if i == a]
            if not near or not far:
                continue
            if mining == "all":
                chosen += [(a, p, n) for p, n in product(near, far) if d(a, n) - d(a, p) < margin]
            if mining == "hard":
                p, n = max(near, key=lambda p: d(a, p)), min(far, key=lambda n: d(a, n))
                chosen.append((a, p, n))
            if mining == "semi_hard":
                for p in near:
                    farther = [n for n in far if d(a, n) > d(a, p)]
                    n = (
                        min(farther, key=lambda n: d(a, n))
                        if farther
                        else max(far, key=lambda n: d(a, n))
                    )
                    chosen.append((a, p, n))
        return average([tf.maximum(0.0, margin + d(a, p) - d(a, n)) for a, p, n in chosen])

    return loop


def nt_xent(ids, z, temperature=0.3):
    z = z / tf.norm(z, axis=1, keepdims=True)
    costs = []
    for i in range(len(ids)):
        others = [j for j in range(len(ids)) if j != i]
        positive = [j for j in others if ids[j] == ids[i]]
        similar = {j: tf.exp(tf.tensordot(z[i], z[j], 1) / temperature) for j in others}
        if positive:
            costs.append(
                average([-tf.math.log(similar[j] / sum(similar.values())) for j in positive])
            )
    return average(costs)


def info_nce(ids, z, temperature=0.5):
    positive, negative = of_pairs(ids)

    def similar(i, j):
        return tf.exp(tf.tensordot(z[i], z[j], 1) / temperature)

    return average(
        [
            -tf.math.log(
                similar(i, j) / (similar(i, j) + sum(similar(i, n) for k, n in negative if k == i))
            )
            for i, j in positive
        ]
    )


def n_pairs(ids, z, l2=0.02):
    pairs = [np.flatnonzero(ids == one)[:2] for one in np.unique(ids) if sum(ids == one) > 1]
    costs = []
    for a, p in pairs:
        gaps = [tf.tensordot(z[a], z[q] - z[p], 1) for b, q in pairs if b != a]
        costs.append(tf.math.log(1 + sum(tf.exp(gap) for gap in gaps)))
    lengths = [tf.reduce_sum(z[i] ** 2) for pair in pairs for i in pair]
    return average(costs) + l2 * average(lengths)


LOOPS = {
    "contrastive": contrastive("squared", 1.0),
    "half": contrastive("half", 0.8),
    "linear": contrastive("linear", 1.2),
    "nt_xent": nt_xent,
    "info_nce": info_nce,
    "n_pairs": n_pairs,
    **{mining: triplet(mining, True) for mining in ("all", "hard", "semi_hard")},
    **{
        f"{mining}, not squared": triplet(mining, False) for mining in ("all", "hard", "semi_hard")
    },
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("seed", range(2))
def test_equals_the_loop(name, seed):
    z = vectors(seed=seed)
    if name in ("n_pairs", "info_nce", "contrastive"):
        z *= np.linspace(0.5, 2, len(z), dtype="float32")[:, None]  # no unit vectors
    found, expected = (value_and_gradient(f, IDS, z) for f in (ALL[name], LOOPS[name]))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-5)


def test_golden():
    """Values and gradients of pytorch-metric-learning; see scripts/make_metric_loss_golden.py."""
    golden = np.load(GOLDEN)
    ids, z = golden["ids"], golden["embeddings"]
    same = {
        "contrastive": ContrastiveLoss(1.0, "linear"),
        "triplet": TripletLoss(0.2, squared=False),
        "triplet, squared": TripletLoss(0.2),
        "nt_xent, two views": NTXent(0.1),
        "sup_con": NTXent(0.1),
        "info_nce": InfoNCE(0.07),
        "n_pairs": NPairs(),
    }
    assert set(same) == {name.rsplit("/")[0] for name in golden if "/" in name}
    for name, loss in same.items():
        two = name in ("nt_xent, two views", "n_pairs")
        given = (golden["twos"] if two else ids), z
        value, gradient = value_and_gradient(loss, *given)
        np.testing.assert_allclose(value, golden[f"{name}/value"], rtol=2e-5, err_msg=name)
        np.testing.assert_allclose(
            gradient, golden[f"{name}/gradient"], atol=2e-6, rtol=1e-3, err_msg=name
        )


# 2. Draws


def test_draws_are_as_frequent_as_their_odds_say():
    z = losses.unit(tf.constant(np.random.default_rng(0).normal(size=(40, 8)), tf.float32))
    d = np.linalg.norm(z[:, None] - z[None], axis=-1)
    close = np.clip(d, 0.5, 1.4)
    expected = close**-6 * (1 - close**2 / 4) ** -2.5 * (d <= 1.4)
    negative = np.arange(40)[:, None] // 4 != np.arange(40)[None] // 4
    odds = losses.log_odds(z, tf.constant(negative))
    expected = expected * negative
    expected /= expected.sum(1, keepdims=True)
    found = np.zeros((40, 40))
    for number in range(400):
        found += losses.drawn(odds, np.arange(40), None, number).numpy()
    assert (found.sum(1) == 400).all()
    assert np.abs(found / 400 - expected).mean() < 0.01
    assert not found[~negative].any()


def test_where_all_are_far_any_may_be_drawn():
    """Ids that are orthogonal, as of a network that has learned."""
    z, ids = tf.constant(np.repeat(np.eye(8, dtype="float32"), 4, axis=0)), np.repeat(range(8), 4)
    negative = ids[:, None] != ids
    odds = losses.log_odds(z, tf.constant(negative))
    found = sum(losses.drawn(odds, ids + n, None, 0).numpy().astype(int) for n in range(300))
    assert not found[~negative].any()
    np.testing.assert_array_equal(found.sum(1), 300)
    assert (found[negative] > 0).mean() > 0.99
    assert found.max() < 40


def test_a_draw_depends_on_the_ids_alone():
    loss, z = TripletLoss(2.0, mining="distance_weighted"), vectors(64, 8)
    ids = np.repeat(np.arange(16), 4)
    assert loss(ids, z) == loss(ids, z)
    others = [float(loss(ids + shift, z)) for shift in range(1, 5)]
    assert len({float(loss(ids, z)), *others}) == 5


@pytest.mark.parametrize("name", ["distance_weighted", "margin"])
def test_what_is_drawn_is_paid_for(name):
    """All draws by hand, of the masks that the draw gives."""
    z, ids = vectors(16, 8), np.repeat(np.arange(4), 4)
    digits = losses.digits(ids)
    positive, negative = losses.pairs(digits)
    odds, positive = losses.log_odds(tf.constant(z), negative), positive.numpy()
    triplets = []
    for number in range(3):
        mask = losses.drawn(odds, digits, None, number).numpy()
        for a in range(16):
            p = np.flatnonzero(positive[a])[number]
            (n,) = np.flatnonzero(mask[a])
            triplets.append((np.linalg.norm(z[a] - z[p]), np.linalg.norm(z[a] - z[n])))
    near, far = np.array(triplets).T
    if name == "margin":
        costs = np.concatenate([0.2 + near - 1.2, 0.2 - far + 1.2])
        expected = costs[costs > 0].mean()
    else:
        expected = np.maximum(0.3 + near**2 - far**2, 0).mean()
    np.testing.assert_allclose(ALL[name](ids, z), expected, rtol=1e-5)


# 3. What is no usual batch


@every
@pytest.mark.parametrize(
    "ids", [np.zeros(6, int), np.arange(6), np.zeros(1, int)], ids=["one id", "each once", "one"]
)
def test_nothing_to_compare_costs_nothing(loss, ids):
    if np.unique(ids).size < len(ids) and "Triplet" not in type(loss).__name__:
        return  # pairs of one id are pairs
    value, gradient = value_and_gradient(loss, ids, vectors(len(ids)))
    if isinstance(loss, ContrastiveLoss) and len(ids) > 1:
        assert value > 0  # of negatives only
        return
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


@every
@pytest.mark.parametrize("vector", [[0.0, 0, 0, 0], [0.6, 0.8, 0, 0]])
def test_all_embeddings_equal_have_a_finite_gradient(loss, vector):
    z = np.tile(np.array(vector, "float32"), (8, 1))
    value, gradient = value_and_gradient(loss, IDS, z)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(set(LOOPS) - {"nt_xent", "info_nce", "n_pairs"}))
def test_near_a_collapse_gradients_are_what_they_were(name):
    """All but equal: of differences of squares there would be little left."""
    z = (vectors(1) + 1e-3 * vectors(8)).astype("float32")
    found = value_and_gradient(ALL[name], IDS, z)
    expected = value_and_gradient(LOOPS[name], IDS, z.astype("float64"))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["hard", "semi_hard"])
def test_far_ones_are_mined_too(name):
    z = 1e5 * vectors()
    found, expected = (value_and_gradient(f, IDS, z)[0] for f in (ALL[name], LOOPS[name]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@every
def test_an_empty_batch_costs_nothing(loss):
    found, gradient = value_and_gradient(loss, IDS[:0], vectors()[:0])
    assert found == 0
    assert gradient.shape == (0, vectors().shape[1])


@every
@pytest.mark.parametrize("shape", [(), (8,), (8, 3, 3, 4)])
def test_what_are_no_vectors(loss, shape):
    with pytest.raises(
        ValueError, match=r"expected embeddings \(B, D\), got the shape \(.*pooled"
    ):
        loss(np.arange(8), np.zeros(shape, "float32"))


@every
def test_with_float64_as_keras_own_kind(loss):
    expected = loss(IDS, vectors())
    keras.config.set_floatx("float64")
    try:
        np.testing.assert_allclose(loss(IDS, vectors().astype("float64")), expected, rtol=1e-5)
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_temperatures_that_are_none(temperature):
    for kind in (NTXent, InfoNCE):
        with pytest.raises(ValueError, match=f"temperature must be above 0, not {temperature}"):
            kind(temperature)


def test_two_losses_of_one_output():
    """As the message says that floats for ids lead to."""
    z = keras.layers.Dense(4, dtype="float32")(inputs := keras.Input((5,)))
    x = np.random.default_rng(0).normal(size=(len(IDS), 5)).astype("float32")
    together = keras.Model(inputs, [z, z])
    together.compile("sgd", [TripletLoss(), NTXent()])
    first, second = TripletLoss(), NTXent()
    embedded = together(x)[0]
    found = together.evaluate(x, (IDS, IDS), batch_size=len(IDS), verbose=0)[0]
    assert found == pytest.approx(float(first(IDS, embedded) + second(IDS, embedded)), rel=1e-5)
    single = keras.Model(inputs, z)
    single.compile("sgd", lambda ids, z: first(ids, z) + second(ids, z))
    with pytest.raises(ValueError, match="give a model its output twice"):
        single.evaluate(x, IDS, verbose=0)


def test_a_negative_as_far_as_the_positive_is_not_farther():
    ids, z = np.array([0, 0, 1, 1]), np.float32([[0], [1], [-1], [3]])
    found = TripletLoss(20, mining="semi_hard")(ids, z)
    # Squares from 0: 1; 1 and 9. From 1: 1; 4 and 4. From -1: 16; 1 and 4. From 3: 16; 9 and 4.
    np.testing.assert_allclose(found, 20 + np.mean([1 - 9, 1 - 4, 16 - 4, 16 - 9]))


@every
def test_nan_shows(loss):
    z = vectors()
    z[2, 1] = np.nan
    assert np.isnan(loss(IDS, z))


@pytest.mark.parametrize("loss", [NTXent(), MarginLoss(), TripletLoss(mining="distance_weighted")])
def test_those_of_unit_vectors_make_them(loss):
    z = vectors()
    longer = z * np.linspace(0.1, 30, len(z), dtype="float32")[:, None]
    np.testing.assert_allclose(loss(IDS, longer), loss(IDS, z), rtol=1e-4)


@every
def test_large_ids_are_told_apart(loss):
    z = vectors()
    if loss in (ALL["distance_weighted"], ALL["margin"]):
        pytest.skip("of other ids the draw is another")
    for more in (2**24, 2**40, 2**58):  # where float32 knows every other number, or fewer
        assert loss(IDS + more, z) == loss(IDS, z) != 0
        assert loss(IDS * more, z) == loss(IDS, z)
    hashes = IDS.astype("uint64") * 2**60
    for ids in (IDS - 2**60, hashes, hashes + np.uint64(IDS)):
        assert loss(ids, z) == loss(IDS, z)


def test_large_ids_in_fit():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, use_bias=False)(inputs))
    model.compile(keras.optimizers.SGD(0.0), NTXent())
    z, ids = vectors(), np.repeat(np.arange(4), 2)
    found = [
        model.fit(z, more + ids, batch_size=8, verbose=0).history["loss"] for more in (0, 2**33)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array([0.0, 1.0]), "whole numbers, got float"),
        (np.array(["a", "b"]), "whole numbers, got string"),
        (np.eye(2, dtype=int), r"expected ids \(B,\), one number an example, got the shape"),
    ],
)
def test_what_are_no_ids(ids, message):
    with pytest.raises(ValueError, match=message):
        TripletLoss()(ids, vectors(2))


@pytest.mark.parametrize("ids", [7, np.arange(7), np.zeros((1, 1), int)])
def test_ids_of_other_embeddings(ids):
    with pytest.raises(ValueError, match="expected ids of 8 embeddings, got"):
        NTXent()(ids, vectors())


def test_examples_have_no_weights_of_their_own():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model.compile("sgd", ContrastiveLoss())
    for weights in ({"sample_weight": np.ones(8)}, {"class_weight": {0: 2.0, 1: 1.0}}):
        with pytest.raises(ValueError, match=r"ContrastiveLoss compares examples .* class_weight"):
            model.fit(vectors(), np.arange(8) % 2, verbose=0, **weights)


@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16"])
def test_other_types_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be one of 'float32', not"):
        NTXent(dtype=dtype)


def test_unknown_words():
    with pytest.raises(ValueError, match="mining must be one of 'all', 'hard', 'semi_hard'"):
        TripletLoss(mining="soft")
    with pytest.raises(ValueError, match="convention must be one of 'squared', 'half', 'linear'"):
        ContrastiveLoss(convention="cubic")


# 4. In Keras


@every
def test_compiled_of_any_batch_and_by_xla(loss):
    z = vectors()
    eager = loss(IDS, z)
    signature = [tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None, 4), tf.float32)]
    for compile_it in (False, True):
        run = tf.function(
            lambda *xy: value_and_gradient(loss, *xy), signature, jit_compile=compile_it
        )
        value, gradient = run(tf.constant(IDS), tf.constant(z))
        if compile_it and loss in (ALL["distance_weighted"], ALL["margin"]):
            assert np.isfinite(value)  # XLA has random numbers of its own
            continue
        np.testing.assert_allclose(value, eager, rtol=1e-5)
        np.testing.assert_allclose(gradient, value_and_gradient(loss, IDS, z)[1], atol=1e-5)


@every
def test_saved_and_loaded(loss, tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.UnitNormalization()(inputs))
    model.compile("sgd", loss)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").loss
    assert again.get_config() == loss.get_config()
    assert again(IDS, vectors()) == loss(IDS, vectors())


JAX = """
import sys
import jax
import keras
import numpy as np
from keras_vision.metric_learning import losses

assert keras.backend.backend() == "jax"
given, found = np.load(sys.argv[1]), {}
for name in sys.argv[3:]:
    kind, settings = name.split(":")
    loss = getattr(losses, kind)(*eval(settings))
    value = lambda z: loss(given["ids"], z)
    found[name] = jax.jit(value)(given["z"])
    found[name + "/gradient"] = jax.grad(value)(given["z"])
np.savez(sys.argv[2], **found)
"""


LARGE = """
import keras_vision.quiet
import sys
import numpy as np
import tensorflow as tf
from pathlib import Path
from keras_vision.metric_learning import losses

loss = eval(sys.argv[1], vars(losses))

@tf.function
def gradient(ids, z):
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(ids, z)
    return tape.gradient(value, z)

z = np.random.default_rng(0).normal(size=(4096, 128)).astype("float32")
z /= np.linalg.norm(z, axis=1, keepdims=True)
for count in (64, 4096):  # first what TensorFlow needs anyway
    gradient(tf.repeat(tf.range(count // 4), 4), tf.constant(z[:count]))
    print(Path("/proc/self/status").read_text())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "loss",
    [
        "TripletLoss()",
        "TripletLoss(squared=False, mining='hard')",
        "TripletLoss(squared=False, mining='semi_hard')",
        "NTXent()",
    ],
)
def test_a_batch_of_4096_within_a_gigabyte(loss):
    command = [sys.executable, "-c", LARGE, loss]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, re.findall(r"VmHWM:\s+(\d+) kB", done.stdout))
    assert (after - before) * 1024 < 1e9


@pytest.mark.slow
def test_the_same_under_jax(tmp_path):
    z = vectors()
    np.savez(tmp_path / "given.npz", ids=IDS, z=z)
    names = ["TripletLoss:(0.3, True, 'semi_hard')", "TripletLoss:(0.3,)", "NTXent:()"]
    names += ["ContrastiveLoss:()", "NPairs:()", "InfoNCE:()"]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    files = [tmp_path / "given.npz", tmp_path / "jax.npz"]
    subprocess.run(
        [sys.executable, "-c", JAX, *files, *names], env=environment, check=True, timeout=300
    )
    found = np.load(tmp_path / "jax.npz")
    for name in names:
        kind, settings = name.split(":")
        expected = value_and_gradient(getattr(losses, kind)(*eval(settings)), IDS, z)
        np.testing.assert_allclose(found[name], expected[0], rtol=1e-5)
        np.testing.assert_allclose(found[f"{name}/gradient"], expected[1], atol=1e-5)


@pytest.mark.quick("semi_hard", "nt_xent")
@pytest.mark.parametrize("name", ["semi_hard", "distance_weighted", "nt_xent", "contrastive"])
def test_two_replicas_train_as_one(name, two_replicas, tmp_path):
    """Each sees 8 examples, and pairs lie across."""
    z, ids = vectors(16, 4), np.tile(np.arange(8), 2)
    data = tf.data.Dataset.from_tensors((z, ids)).repeat()

    def model():
        inputs = keras.Input((4,))
        outputs = keras.layers.UnitNormalization()(keras.layers.Dense(5)(inputs))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.5), ALL[name].from_config(ALL[name].get_config()))
        return model

    trained = []
    for folder, strategy in (("one", None), ("two", two_replicas)):
        config = TrainConfig(
            model, lambda first_step, seed: data, 3, max_epoch=1, log_dir=tmp_path / folder
        )
        trained.append(launch(config, strategy).get_weights())
    for one, two in zip(*trained, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    assert any(
        np.abs(a - b).max() > 1e-3 for a, b in zip(trained[0], model().get_weights(), strict=True)
    )
