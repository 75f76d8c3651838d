"""pytorch-metric-learning, by scripts/make_metric_golden.py, and scikit-learn are oracles."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import normalized_mutual_info_score, roc_curve

from keras_vision.metric_learning import index, losses
from keras_vision.metric_learning.metrics import (
    WORD,
    BatchRecall,
    EqualErrorRate,
    all_pairs,
    equal_error_rate,
    map_at_r,
    nmi,
    one_shot,
    recall_at,
    roc,
)

GOLDEN = np.load(Path(__file__).with_name("golden_metrics.npz"))
CASES = ["easy", "hard", "alone", "unbalanced"]
JAX = """
import sys
import keras
import numpy as np
from keras_vision.metric_learning import losses
from keras_vision.metric_learning.metrics import BatchRecall, EqualErrorRate

assert keras.backend.backend() == "jax"
given = np.load(sys.argv[1])
inputs = keras.Input((6,))
model = keras.Model(inputs, keras.layers.Dense(6, kernel_initializer="identity")(inputs))
metrics = [EqualErrorRate(200), BatchRecall()]
model.compile(keras.optimizers.SGD(0.0), losses.ContrastiveLoss(), metrics=metrics)
history = model.fit(
    given["vectors"], given["ids"], batch_size=16, shuffle=False, verbose=0
).history
np.savez(sys.argv[2], **{name: values[0] for name, values in history.items()})
"""


def blobs(count, classes=8, spread=0.6, dimension=6, seed=0):
    """Unit vectors (N, D) of ids (N,) that overlap."""
    random = np.random.default_rng(seed)
    ids = random.integers(classes, size=count)
    middles = np.random.default_rng(9).normal(size=(classes, dimension))
    vectors = middles[ids] + spread * random.normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("float32"), ids


# Retrieval


def ranked(vectors, ids, gallery=None):
    """Of each vector with something to find, which of the others have its id, nearest first."""
    asked, names = gallery or (vectors, ids)
    for number, (vector, one) in enumerate(zip(vectors, ids, strict=True)):
        others = [n for n in range(len(names)) if gallery or n != number]
        if one not in names[others]:
            continue
        distances = {n: np.linalg.norm(asked[n].astype("float64") - vector) for n in others}
        yield np.array([names[n] == one for n in sorted(others, key=distances.get)])


def recall_by_loop(k, *question):
    return np.mean([same[:k].any() for same in ranked(*question)])


def map_by_loop(*question):
    values = []
    for same in ranked(*question):
        r = same.sum()
        values.append(sum(same[: i + 1].mean() for i in range(r) if same[i]) / r)
    return np.mean(values)


@pytest.mark.parametrize("case", CASES)
def test_as_pytorch_metric_learning(case):
    vectors, ids = GOLDEN[f"{case}/vectors"], GOLDEN[f"{case}/ids"]
    half = len(ids) // 2
    questions = {
        "others": (vectors, ids),
        "gallery": (vectors[:half], ids[:half], (vectors[half:], ids[half:])),
    }
    for kind, (*pair, gallery) in {k: (*q, None)[:3] for k, q in questions.items()}.items():
        found = recall_at(*pair, gallery=gallery), map_at_r(*pair, gallery=gallery)
        np.testing.assert_allclose(found, GOLDEN[f"{case}/{kind}"], rtol=1e-12)


@pytest.mark.parametrize("gallery", [None, blobs(30, seed=1)])
def test_retrieval_equals_a_loop(gallery):
    question = *blobs(70), gallery
    expected = {k: recall_by_loop(k, *question) for k in (1, 2, 4, 1000)}
    assert recall_at(*question[:2], k=(1, 2, 4, 1000), gallery=gallery) == pytest.approx(expected)
    assert 0 < expected[1] < expected[2] < expected[4] < expected[1000] == 1
    assert map_at_r(*question) == pytest.approx(map_by_loop(*question))


@pytest.mark.parametrize("scale", [1, 1e30])
def test_vectors_of_any_length(scale):
    vectors, ids = blobs(60)
    vectors = (vectors * np.random.default_rng(0).uniform(0.2, 5, (60, 1)) + 3) * scale
    assert recall_at(vectors, ids) == pytest.approx(recall_by_loop(1, vectors, ids))
    assert map_at_r(vectors, ids) == pytest.approx(map_by_loop(vectors, ids))


def test_ties_are_in_the_order_of_rows():
    same, ids = np.ones((6, 3)), np.array([0, 1, 0, 1, 2, 2])
    # Their own kind comes as number 2, 3, 1, 2, 5, 5.
    assert recall_at(same, ids, (1, 2, 3)) == pytest.approx({1: 1 / 6, 2: 3 / 6, 3: 4 / 6})
    assert map_at_r(same, ids) == pytest.approx(1 / 6)
    gallery = np.ones((3, 3)), np.array([0, 0, 1])
    assert recall_at(same, ids, gallery=gallery) == 0.5  # 2 is not there, 1 is no first
    vectors, ids = (np.repeat(x, 3, axis=0) for x in blobs(20))
    assert recall_at(vectors, ids) == 1


def test_who_is_alone_is_asked_but_does_not_ask():
    vectors = np.array([[0.0], [1.0], [2.1], [9.0], [9.1]])
    ids = np.array([5, 7, 5, 3, 3])
    assert recall_at(vectors, ids) == 0.5
    assert recall_at(vectors, ids, 2) == 1
    assert map_at_r(vectors, ids) == 0.5


def test_only_the_r_nearest_count():
    """R = 3: right, wrong, right, and then the one that comes too late."""
    vectors, ids = np.array([[0.0], [1], [2], [3], [4]]), np.array([0, 0, 1, 0, 0])
    assert map_at_r(vectors[:1], ids[:1], (vectors[1:], ids[1:])) == (1 + 0 + 2 / 3) / 3


@pytest.mark.parametrize("measure", [recall_at, map_at_r])
def test_of_all_ids_once_or_one_only(measure):
    vectors, _ = blobs(9)
    assert np.isnan(measure(vectors, np.arange(9)))
    assert np.isnan(measure(vectors[:1], [4]))
    assert np.isnan(measure(np.zeros((0, 6)), []))
    assert np.isnan(measure(vectors, np.zeros(9, int), gallery=(vectors, np.ones(9, int))))
    assert np.isnan(measure(vectors, np.zeros(9, int), gallery=(np.zeros((0, 6)), [])))
    assert measure(vectors, np.zeros(9, int)) == 1
    assert measure(vectors[:1], [0], gallery=(vectors[5:6], [0])) == 1


def test_retrieval_block_by_block(monkeypatch):
    question = blobs(80)
    whole = recall_at(*question, (1, 5)), map_at_r(*question)
    monkeypatch.setattr(index, "BLOCK", 300)
    assert (recall_at(*question, (1, 5)), map_at_r(*question)) == whole


def test_what_cannot_be_asked_is_refused():
    vectors, ids = blobs(5)
    for measure in (recall_at, map_at_r, nmi, one_shot):
        with pytest.raises(ValueError, match=r"expected ids of 5 vectors, got the shape \(4,\)"):
            measure(vectors, ids[:4])
        with pytest.raises(ValueError, match="expected finite vectors, but 5 of 5"):
            measure(vectors * np.nan, ids)
        with pytest.raises(ValueError, match=r"expected vectors \(N, D\)"):
            measure(vectors[0], ids)
    for measure in (recall_at, map_at_r):
        with pytest.raises(ValueError, match="expected queries of 2 numbers"):
            measure(vectors, ids, gallery=(vectors[:, :2], ids))
    with pytest.raises(ValueError, match="k must be a whole number, 1 at least, or several, not"):
        recall_at(vectors, ids, (0, 1))


def test_ids_as_keras_has_those_of_cifar():
    vectors, ids = blobs(40)
    assert recall_at(vectors, ids[:, None]) == recall_at(vectors, ids)
    for wrong in (1.5, []):
        with pytest.raises(ValueError, match="k must be a whole number"):
            recall_at(vectors, ids, wrong)


def test_nmi():
    vectors, ids = blobs(80, spread=0.05)
    assert nmi(vectors, ids) == pytest.approx(1)
    vectors, ids = blobs(80, spread=2)
    first = nmi(vectors, ids, seed=1)
    assert first == nmi(vectors, ids, seed=1)
    assert 0 < first < 0.9
    square = np.array([[0, 0], [0, 1], [9, 0], [9, 1]])
    expected = normalized_mutual_info_score([0, 0, 1, 1], [0, 0, 0, 1])
    assert nmi(square, [0, 0, 0, 1]) == pytest.approx(expected)
    assert nmi(np.ones((6, 2)), [0, 0, 1, 1, 2, 2]) == 0
    assert nmi(square, [1, 2, 3, 4]) == pytest.approx(1)
    assert nmi(square, [4] * 4) == nmi(square[:1], [4]) == 1
    assert np.isnan(nmi(np.zeros((0, 2)), []))


def test_a_missing_scikit_learn_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ImportError, match=r'pip install "keras_vision\[search\]"'):
        nmi(*blobs(9))


# Verification


def pairs_of(vectors, ids):
    """Whether each pair is of one id, and its distance."""
    first, second = np.triu_indices(len(ids), 1)
    distances = np.linalg.norm(vectors[first].astype("float64") - vectors[second], axis=1)
    return ids[first] == ids[second], distances


@pytest.mark.parametrize("decimals", [12, 1])
def test_roc_as_scikit_learn(decimals):
    same, distances = pairs_of(*blobs(50))
    distances = distances.round(decimals)  # to one digit: many ties
    table = roc(same, distances)
    false, true, thresholds = roc_curve(same, -distances, drop_intermediate=False)
    assert list(table.columns) == ["distance", "true_accept", "false_accept"]
    np.testing.assert_allclose(table["distance"], -thresholds)
    np.testing.assert_allclose(table["true_accept"], true)
    np.testing.assert_allclose(table["false_accept"], false)


def test_equal_error_rate_equals_a_loop():
    same, distances = pairs_of(*blobs(40))
    before = (-1.0, 0.0, None)
    for threshold in sorted(distances):
        accepted = np.mean(distances[~same] <= threshold)
        gap = accepted - np.mean(distances[same] > threshold)
        if gap >= 0:
            break
        before = gap, accepted, threshold
    share = before[0] / (before[0] - gap)
    expected = [
        a + share * (b - a) for a, b in zip(before[1:], (accepted, threshold), strict=True)
    ]
    rate, distance = equal_error_rate(same, distances)
    assert [rate, distance] == pytest.approx(expected)
    assert 0.05 < rate < 0.5
    assert equal_error_rate(same.tolist(), distances.tolist()) == (rate, distance)


def test_equal_error_rate_by_hand():
    rate, distance = equal_error_rate([True, True, False, False], [0.1, 0.3, 0.2, 0.4])
    assert (rate, distance) == (0.5, 0.2)
    assert equal_error_rate([True, False], [0.2, 0.6]) == (0, 0.2)
    assert equal_error_rate([False, True], [0.2, 0.6]) == (1, 0.2)
    assert equal_error_rate([True, False], [0.7, 0.7]) == (0.5, 0.7)  # collapsed
    # Accepted are 2 of 3 and 0 of 1, then 2 of 3 and 1 of 1; both lines meet at 1/3.
    rate, _ = equal_error_rate([True, True, False, True], [0.1, 0.2, 0.3, 0.4])
    assert rate == pytest.approx(1 / 3)


def test_pairs_of_one_kind_only():
    for same, message in ((True, "got 3 and 0"), (False, "got 0 and 3")):
        with pytest.raises(ValueError, match=message):
            equal_error_rate([same] * 3, [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="got 0 and 0"):
        equal_error_rate([], [])
    table = roc([True, True], [0.5, 0.1])
    assert table["true_accept"].tolist() == [0, 0.5, 1]
    assert table["false_accept"].isna().all()
    assert roc([], [])["distance"].tolist() == [-np.inf]


@pytest.mark.parametrize(
    ("same", "distances", "message"),
    [
        ([True], [0.1, 0.2], r"expected same and distances \(M,\), got \(1,\), \(2,\)"),
        ([[True]], [[0.1]], r"got \(1, 1\), \(1, 1\)"),
        ([0.1, 0.2], [1, 0], "expected same as bool, .* got float64"),
        ([True, False], [np.nan, 0], "1 of 2 distances are NaN"),
    ],
)
def test_what_are_no_pairs_is_refused(same, distances, message):
    for measure in (roc, equal_error_rate):
        with pytest.raises(ValueError, match=message):
            measure(same, distances)


# Within batches

BATCH, BINS = 16, 200


def by_batch(vectors, ids):
    """What the metrics' results shall be: (the rate, its width), recall."""
    batches = [slice(start, start + BATCH) for start in range(0, len(ids), BATCH)]
    pairs = [pairs_of(vectors[one], ids[one]) for one in batches]
    same, distances = (np.concatenate(part) for part in zip(*pairs, strict=True))
    up = np.ceil(distances * BINS / 2) * 2 / BINS
    hits = [same[0] for one in batches for same in ranked(vectors[one], ids[one])]
    return equal_error_rate(same, up)[0], equal_error_rate(same, distances)[0], np.mean(hits)


def metrics():
    return EqualErrorRate(BINS), BatchRecall()


def updated(vectors, ids, kind="float32"):
    both = metrics()
    for metric in both:
        for start in range(0, len(ids), BATCH):
            batch = slice(start, start + BATCH)
            metric.update_state(ids[batch], tf.cast(vectors[batch], kind))
    return [float(metric.result()) for metric in both]


def test_batch_by_batch():
    data = blobs(90)
    rate, exact, recall = by_batch(*data)
    assert updated(*data) == pytest.approx([rate, recall], abs=1e-6)
    assert rate == pytest.approx(exact, abs=0.01)
    assert 0.05 < rate < 0.5
    assert 0.2 < recall < 0.95
    assert updated(data[0], data[1].astype("int32")[:, None]) == updated(*data)
    assert updated(*data, "float16") == pytest.approx([rate, recall], abs=0.03)


def test_more_thresholds_come_closer():
    same, distances = pairs_of(*blobs(90, spread=0.8))
    exact, _ = equal_error_rate(same, distances)
    for thresholds in (50, 1000):
        metric = EqualErrorRate(thresholds)
        metric.update_state(*reversed(blobs(90, spread=0.8)))
        assert int(np.sum(metric.counts)) == 90 * 89 / 2
        assert float(metric.result()) == pytest.approx(exact, abs=2 / thresholds)


def test_one_batch_is_as_the_functions():
    vectors, ids = blobs(64, classes=20)
    metric = BatchRecall()
    metric.update_state(ids, vectors)
    assert float(metric.result()) == pytest.approx(recall_at(vectors, ids))


def test_at_a_threshold_is_within_it():
    metric = EqualErrorRate(4)
    metric.update_state([0, 1, 0], np.float32([[0], [0.5], [1.5]]))
    np.testing.assert_array_equal(counted(metric), [[1, 1, 0, 0], [0, 0, 1, 0]])


def test_beyond_the_limit_and_nan():
    vectors = np.array([[0.0], [0.1], [5.0], [5.2]], "float32")
    metric = EqualErrorRate()
    metric.update_state([0, 0, 1, 1], vectors)
    assert metric.result() == 0
    assert counted(metric)[0, -1] == 4
    metric = EqualErrorRate(limit=10.0)
    metric.update_state([0, 1, 0, 1], vectors)
    rate, _ = equal_error_rate(*pairs_of(vectors, np.array([0, 1, 0, 1])))
    assert float(metric.result()) == pytest.approx(rate, abs=0.01)
    metric.update_state([0, 1], np.full((2, 1), np.nan))
    assert counted(metric)[0, -1] == 1
    metric = BatchRecall()
    metric.update_state([0, 0, 0], np.float32([[np.nan], [0.1], [0.2]]))
    assert float(metric.result()) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("vectors", "ids"),
    [(np.zeros((0, 3)), []), (np.ones((1, 3)), [7]), (np.eye(3), [0, 1, 2])],
    ids=["none", "single", "all once"],
)
def test_nothing_to_compare(vectors, ids):
    assert updated(vectors, np.array(ids, int)) == [0, 0]
    for metric in metrics():
        assert metric.result() == 0
        metric.update_state(np.array(ids, int), vectors)  # a last batch, of what is left over
        metric.update_state([0, 0, 1, 1], np.float32([[0], [0.2], [1], [1.1]]))
        assert float(metric.result()) == (0 if isinstance(metric, EqualErrorRate) else 1)
        metric.reset_state()
        assert metric.result() == 0


def test_one_id_only():
    assert updated(np.eye(4), np.zeros(4, int)) == [0, 1]


def test_collapsed():
    rate, recall = updated(np.ones((16, 3)), np.arange(16) // 2)
    assert rate == 0.5
    assert recall == pytest.approx(recall_at(np.ones((16, 3)), np.arange(16) // 2))


def test_float_ids_are_refused():
    for metric in metrics():
        with pytest.raises(ValueError, match="ids must be whole numbers, got float32"):
            metric.update_state(np.zeros(3, "float32"), np.zeros((3, 2)))


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_all_pairs_of_any_length(scale):
    vectors = np.random.default_rng(0).normal(size=(9, 4))
    ids = np.arange(9) // 3
    same, distances = all_pairs((scale * vectors).astype("float32"), ids)
    expected = [(i, j) for i in range(9) for j in range(i + 1, 9)]
    np.testing.assert_array_equal(same, [ids[i] == ids[j] for i, j in expected])
    away = [np.linalg.norm(vectors[i] - vectors[j]) for i, j in expected]
    np.testing.assert_allclose(distances, scale * np.array(away), rtol=1e-5)


def test_all_pairs_take_no_more_memory_than_they_are():
    vectors = np.zeros((1500, 512), "float32")
    tracemalloc.start()
    same, distances = all_pairs(vectors, np.arange(1500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * (same.nbytes + distances.nbytes) + 4 * vectors.nbytes  # and not 512 times


def test_ids_of_any_size_count():
    ids = np.array([2**40, 2**40 + 1, 2**40])
    assert updated(np.float32([[0], [0.1], [1]]), ids)[1] == 0


def counted(metric):
    full, left = np.asarray(metric.counts, "int64")
    return full * WORD + left


def test_counts_beyond_those_of_float32():
    metric = EqualErrorRate(2)
    ids, vectors = np.arange(3000) % 2, np.zeros((3000, 1))
    for _ in range(8):
        metric.update_state(ids, vectors)
    different, same = 8 * 1500**2, 8 * (1500 * 1499)
    assert min(different, same) > 2**24
    np.testing.assert_array_equal(counted(metric), [[different, 0], [same, 0]])
    full = np.array([[[2.0**22, 0], [0, 2**20]], np.zeros((2, 2))])  # 2^38 and 2^36 pairs
    metric.counts.assign(full)
    metric.update_state([0, 1], np.zeros((2, 1)))
    np.testing.assert_array_equal(counted(metric), [[2**38 + 1, 0], [0, 2**36]])
    assert float(metric.result()) == pytest.approx(1)


def trained(vectors, ids, **compiled):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(6, kernel_initializer="identity")(inputs))
    still = keras.optimizers.SGD(0.0)
    model.compile(still, losses.ContrastiveLoss(), metrics=list(metrics()), **compiled)
    settings = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    return model, model.fit(vectors, ids, **settings).history


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}], ids=["graph", "xla"])
def test_in_the_logs_of_fit(compiled):
    """On a GPU Keras compiles by XLA by itself."""
    data = blobs(64)
    rate, _, recall = by_batch(*data)
    _, history = trained(*data, **compiled)
    assert history["equal_error_rate"] == [pytest.approx(rate, abs=1e-6)]
    assert history["batch_recall"] == [pytest.approx(recall, abs=1e-6)]


@pytest.mark.slow
def test_the_same_under_jax(tmp_path):
    vectors, ids = blobs(64)
    rate, _, recall = by_batch(vectors, ids)
    np.savez(tmp_path / "given.npz", vectors=vectors, ids=ids)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", JAX, tmp_path / "given.npz", tmp_path / "jax.npz"]
    subprocess.run(command, env=environment, check=True, timeout=300)
    found = np.load(tmp_path / "jax.npz")
    assert found["equal_error_rate"] == pytest.approx(rate, abs=1e-6)
    assert found["batch_recall"] == pytest.approx(recall, abs=1e-6)


def test_saved_and_loaded(tmp_path):
    data = blobs(48)
    model, history = trained(*data)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    found = again.evaluate(*data, batch_size=BATCH, return_dict=True, verbose=0)
    for name in ("equal_error_rate", "batch_recall"):
        assert found[name] == pytest.approx(history[name][0], abs=1e-6)
    config = EqualErrorRate(50, 3.0, name="errors").get_config()
    assert EqualErrorRate.from_config(config).get_config() == config
    assert (config["name"], config["thresholds"], config["limit"]) == ("errors", 50, 3.0)
    assert BatchRecall.from_config(BatchRecall().get_config()).name == "batch_recall"


def test_two_replicas_count_for_one(two_replicas):
    vectors, ids = blobs(65, classes=4)  # in the end one for two replicas
    with two_replicas.scope():
        both = metrics()

    def update(*batch):
        for metric in both:
            metric.update_state(*batch)

    run = tf.function(lambda *batch: two_replicas.run(update, batch))
    data = tf.data.Dataset.from_tensor_slices((ids, vectors)).batch(2 * BATCH)
    for batch in two_replicas.experimental_distribute_dataset(data):
        run(*batch)
    rate, _, recall = by_batch(vectors, ids)
    assert [float(metric.result()) for metric in both] == pytest.approx([rate, recall], abs=1e-6)


# One-shot


def test_one_shot_by_chance_and_by_heart():
    vectors, ids = blobs(400, classes=30, spread=1e-3)
    assert one_shot(vectors, ids, trials=20) == (1, 0)
    noise = np.random.default_rng(0).normal(size=(400, 6))
    share, error = one_shot(noise, ids, ways=5, trials=500)
    assert share == pytest.approx(1 / 5, abs=4 * error)
    assert error == pytest.approx(np.sqrt(0.2 * 0.8 / 5 / 500), rel=0.2)
    assert one_shot(np.ones((400, 6)), ids, ways=4, trials=8) == (0.25, 0)


@pytest.mark.parametrize("shots", [1, 5])
def test_one_shot_equals_chances_counted(shots):
    """Of two ids on a line, by all draws that there are."""
    random = np.random.default_rng(3)
    line = random.normal(size=(14, 1)) + np.repeat([0, 1], 7)[:, None]
    ids = np.repeat([4, 2], 7)
    right, trials = [], 4000
    for _ in range(trials):  # another order of draws than ours
        order = [random.permutation(np.flatnonzero(ids == one)) for one in (2, 4)]
        means = [line[places[:shots]].mean() for places in order]
        for own, places in enumerate(order):
            distances = [abs(mean - line[places[shots], 0]) for mean in means]
            right.append(distances[own] < distances[1 - own])
    share, error = one_shot(line, ids, ways=2, shots=shots, trials=trials)
    assert share == pytest.approx(np.mean(right), abs=4 * np.sqrt(2) * error)
    assert error < 0.01


def test_more_shots_help_and_the_seed_decides():
    vectors, ids = blobs(300, classes=12, spread=1.0)
    one, five = (one_shot(vectors, ids, ways=10, shots=shots)[0] for shots in (1, 5))
    assert one < five - 0.03
    assert one_shot(vectors, ids, ways=10, seed=3) == one_shot(vectors, ids, ways=10, seed=3)
    assert one_shot(vectors, ids, ways=10, seed=3) != one_shot(vectors, ids, ways=10, seed=4)
    assert np.isnan(one_shot(vectors, ids, ways=3, trials=1)[1])


def test_a_trial_stays_in_one_group():
    """Each group has a corner of its own, in which its ids are told apart by nothing."""
    random = np.random.default_rng(0)
    ids, groups = np.repeat(np.arange(40), 4), np.repeat([0, 1, 2, 3], 40)
    vectors = 100 * np.eye(4)[groups] + random.normal(size=(160, 4))
    within, error = one_shot(vectors, ids, ways=4, groups=groups)
    assert within == pytest.approx(1 / 4, abs=4 * error)
    across, _ = one_shot(vectors, ids, ways=4)
    assert across > 0.5
    # Only the group that has enough of them is drawn.
    groups[ids == 3] = 9
    few = one_shot(100 * np.eye(40)[ids], ids, ways=10, groups=groups)
    assert few == (1, 0)


def test_only_ids_with_enough_vectors_are_drawn():
    ids = np.repeat(np.arange(6), [1, 1, 3, 3, 3, 2])
    vectors = 10.0 * np.eye(6)[ids]
    vectors[:2] = np.nan_to_num(vectors[:2]) * 0  # would be wrong, were they drawn
    assert one_shot(vectors, ids, ways=3, shots=2, trials=50) == (1, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ways": 7}, r"expected 7 ids of 2 vectors or more, got 4: ways=4 would fit"),
        ({"ways": 4, "shots": 2}, "4 ids of 3 .* got 3: ways=3 or shots=1 would fit"),
        ({"ways": 2, "shots": 3}, "2 ids of 4 .* got 0: shots=2 would fit"),
        ({"ways": 6, "shots": 1}, "6 ids of 2 .* got 4: ways=4 would fit"),
        ({"ways": 9, "shots": 9}, "got 0: more vectors of an id are needed"),
        ({"ways": 4, "groups": [0] * 5 + [1] * 8}, "more in one group, got 3: ways=3 would fit"),
        ({"ways": 0}, "ways, shots, trials must be 1 or more, not 0, 1, 400"),
        ({"ways": 2, "trials": 0}, "must be 1 or more, not 2, 1, 0"),
        ({"ways": 2, "groups": [0]}, r"expected groups of 13 vectors, got the shape \(1,\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, message):
    ids = np.repeat(np.arange(6), [1, 1, 3, 3, 3, 2])
    with pytest.raises(ValueError, match=message):
        one_shot(np.eye(6)[ids], ids, **settings)


def test_one_shot_of_nothing():
    with pytest.raises(ValueError, match="got 0: more vectors"):
        one_shot(np.zeros((0, 3)), np.zeros(0, int))
