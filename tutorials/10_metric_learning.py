"""Metric learning: vectors whose distances mean something, and one-shot recognition (lesson 10).

Paper:     Hadsell, Chopra, LeCun 2006 (contrastive loss); Schroff, Kalenichenko, Philbin 2015,
           "FaceNet" (triplets); Wu, Manmatha, Smola, Kraehenbuehl 2018, "Sampling Matters in Deep
           Embedding Learning"; Koch, Zemel, Salakhutdinov 2015 (one-shot recognition).
Lecture:   Advanced vision, slides "Metric learning" to "Triplet loss"; ConvNets, slides "Triplet
           loss for one-shot learning" and "Siamese networks".
Needs:     lesson 4.
Run:       python tutorials/10_metric_learning.py                      a minute, offline
           python tutorials/10_metric_learning.py --full --data DIR    Omniglot, on a GPU
Data:      DIR holds Omniglot as it is published (images_background/, images_evaluation/).
Expect:    EXPECTED, below, which the lesson prints beside what it has measured.
Pictures:  out/10_metric_learning/, or out/10_metric_learning_full/
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from keras_vision import lesson, metric_learning, plots
from keras_vision.datasets import mnist, omniglot
from keras_vision.layers import normalization
from keras_vision.metric_learning import (
    ContrastiveLoss,
    Index,
    NTXent,
    TripletLoss,
    embedder,
    metrics,
    siamese,
)
from keras_vision.metric_learning import data as sampling
from keras_vision.metric_learning.evaluate import spread, vectors_of
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.rows import Rows
from keras_vision.training import Evaluator, TrainConfig, launch

EXPECTED = {  # (value, tolerance) of the fast form
    "4-way one-shot, unseen digits, pixels": (0.532, 0.01),
    "4-way one-shot, unseen digits, triplets": (0.62, 0.06),
    "equal error rate, unseen digits": (0.25, 0.04),
    "spread after semi-hard mining": (0.87, 0.1),
    "spread after hard mining": (0.0, 0.02),
    "10-way one-shot, digits, by Omniglot": (0.759, 0.01),
}
FULL = {"steps": 6000, "rate": 2e-3}
SEEN = 6  # digits to learn from; 6, 7, 8, 9 are never seen


def main(data=None, out="out/10_metric_learning", steps=200, rate=5e-3):
    # %% [markdown]
    # ## 1. Task
    # A photo goes in; out comes a *vector* of length 1. Photos of the same thing shall get vectors
    # that are near, of whatever there is in the world, and not only of what was learned: a class
    # that nobody has seen before is recognised by a single example.

    # %%
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    digits, unseen = loaded(data)
    model = embedder.build(small_backbone(), dim=64)
    batch = np.stack([raw["image"] for raw in digits.select(slice(12)).as_numpy_iterator()])
    # [solution: twelve digits, 64 numbers each: shape of what the network makes of them?]
    shape_of_vectors = (12, 64)
    # [end]
    vectors = metric_learning.embed(model, batch)
    lesson.check(shape_of_vectors, vectors.shape, "A vector for each picture.")
    # [solution: two vectors of length 1 that point to opposite sides: how far are they apart?]
    farthest = 1 + 1
    # [end]
    opposite = np.linalg.norm(vectors[0] - -vectors[0])
    lesson.check(farthest, round(float(opposite)), "From one end of the ball to the other.")

    # %% [markdown]
    # ## 2. Loss
    # The *contrastive* loss looks at pairs: those of one id are pulled together, others pushed
    # away until they are a margin apart, y d^2 + (1 - y) max(0, m - d)^2. That margin is hard to
    # choose, as it is the same for all. A *triplet* says only that the positive shall be nearer to
    # the anchor than the negative is: max(0, m + d(a, p)^2 - d(a, n)^2).

    # %%
    # [solution: two different digits are 0.4 apart, the margin is 1: what does the pair cost?]
    cost_of_pair = (1 - 0.4) ** 2
    # [end]
    apart = np.array([[0, 0], [0.4, 0]], "float32")
    contrastive = float(ContrastiveLoss(1.0)(np.array([0, 1]), apart))
    lesson.check(cost_of_pair, contrastive, "What is missing to the margin, squared.")
    # [solution: d(a, p) = 0.5, d(a, n) = 0.6, margin 0.2: what does the triplet cost?]
    cost_of_triplet = 0.2 + 0.5**2 - 0.6**2
    # [end]
    line = np.array([[0, 0], [0.5, 0], [-0.6, 0]], "float32")
    hardest = TripletLoss(0.2, mining="hard")
    # Both of the id are anchors; the other one is far enough from the negative.
    mean = float(hardest(np.array([0, 0, 1]), line))
    lesson.check(cost_of_triplet, 2 * mean, "Mind the squares.")
    plots.show(costs(), out / "2_losses.png")

    # %% [markdown]
    # ## 3. Architecture
    # Any network will do that makes a vector of a photo. A *siamese* network sends two photos
    # through one and the same, and lets a last layer say yes or no.

    # %%
    twin = siamese.build(model)
    # [solution: how many weights more has it? Its last layer sees 64 differences]
    weights_more = 64 + 1
    # [end]
    more = twin.count_params() - model.count_params()
    lesson.check(weights_more, more, "The two halves are one network: they share what they know.")

    # %% [markdown]
    # ## 4. Optimiser
    # Muon, as in the lessons before. A loss of metric learning compares all pictures of a batch
    # with one another; so what is in a batch matters as much as the rate.

    # %% [markdown]
    # ## 5. Dataset
    # Of a batch of random pictures few would be of the same id. So P ids are drawn, and K pictures
    # of each. How many triplets that makes!

    # %%
    bent = partial(sampling.warped, paper=255 if data else 0)
    flow = sampling.by_id(digits, ids=6, pictures=8, mix=bent)
    images, ids = next(iter(flow()))
    plots.show(plots.mosaic(np.clip(images[..., 0], 0, 255), columns=12), out / "5_batch.png")
    # [solution: 6 ids, 8 pictures of each: ordered pairs (anchor, positive) in a batch?]
    pairs_of_one_id = 6 * 8 * (8 - 1)
    # [end]
    same = (ids[:, None] == ids[None]).numpy()
    lesson.check(pairs_of_one_id, int(same.sum()) - len(ids), "Nobody is a pair with itself.")
    # [solution: and how many triplets (anchor, positive, negative)?]
    triplets_of_batch = 6 * 8 * (8 - 1) * (5 * 8)
    # [end]
    count = int(((same.sum(1) - 1) * (~same).sum(1)).sum())
    lesson.check(triplets_of_batch, count, "For each of those pairs, all of other ids.")

    # %% [markdown]
    # ## 6. Training
    # Most of those triplets cost nothing soon. *Mining* chooses: *semi-hard* negatives are farther
    # than the positive, but not by the margin.

    # %%
    def trained(folder, loss, rate=rate):
        return launch(
            TrainConfig(
                model=partial(compiled, loss, rate, steps),
                dataflow=flow,
                steps_per_epoch=steps,
                max_epoch=1,
                callbacks=[Evaluator(partial(spread, rows=unseen.select(slice(100))))],
                log_dir=out / folder,
            )
        )

    losses = {
        "contrastive": ContrastiveLoss(1.0),
        "triplets": TripletLoss(0.2, mining="semi_hard"),
        "NT-Xent": NTXent(0.2),
    }
    models = {name: trained(name, loss) for name, loss in losses.items()}

    # %% [markdown]
    # ## 7. Validation and tuning
    # The digits 6, 7, 8 and 9 nobody has learned. *One-shot*: of each there is one example, and
    # another picture gets the label of the nearest. *Verification*: are two pictures of the same
    # id? At one threshold as many are wrongly accepted as wrongly rejected: the *equal error
    # rate*.

    # %%
    # [solution: four unseen digits, one example each, vectors at random: share that is right?]
    by_chance = 1 / 4
    # [end]
    answers = unseen_vectors(unseen)
    noise = np.random.default_rng(0).normal(size=(len(answers[1]), 8))
    guessed, _ = metrics.one_shot(noise, answers[1], ways=4, trials=5000)
    lesson.check(by_chance, round(guessed, 2), "One of them must be the nearest.")
    found = {"pixels": answers} | {name: vectors_of(m, unseen) for name, m in models.items()}
    table = pd.DataFrame({name: figures(*of) for name, of in found.items()}).T
    print(table.to_string(float_format="{:.3f}".format))
    plots.show(flat(*found["triplets"]), out / "7_unseen.png")

    # %% [markdown]
    # ## 8. Diagnosis
    # A failure on purpose: from the start only the *hardest* negatives count. They are so near
    # that the quickest way to a lower cost is to make all vectors equal; there every triplet costs
    # the margin, and the gradient is zero. The network has *collapsed*.

    # %%
    # [solution: all vectors are equal; what does a triplet cost with a margin of 0.2?]
    cost_of_collapse = max(0, 0.2 + 0)
    # [end]
    equal = np.tile(np.float32([[0.6, 0.8]]), (4, 1))
    cost = float(hardest(np.array([0, 0, 1, 1]), equal))
    lesson.check(cost_of_collapse, cost, "Both distances are the same.")
    collapsed = trained("hard", TripletLoss(0.2, squared=False, mining="hard"), rate=10 * rate)
    spreads = {
        name: spread(m, unseen)["spread"]
        for name, m in {"semi-hard": models["triplets"], "hard": collapsed}.items()
    }
    print(pd.Series(spreads, name="spread").to_string(float_format="{:.3f}".format))

    # %% [markdown]
    # ## 9. Unseen test
    # The shipped network has learned characters of thirty alphabets, and never a digit. It
    # recognises all ten by one example each. An *index* answers the same question of large
    # galleries: which are nearest?

    # %%
    shipped = embedder.build(weights="omniglot")
    on_paper = inverted(mnist.load("test", mnist.SUBSET))
    vectors, labels = vectors_of(shipped, on_paper)
    ten, error = metrics.one_shot(vectors, labels, ways=10, trials=1000)
    print(f"One-shot among ten digits: {ten:.3f} +- {error:.3f}")
    index = Index(vectors[100:])
    nearest = index.search(vectors[:6], top=7)["name"].to_numpy().reshape(6, 7) + 100
    # [solution: six queries, the seven nearest of each: rows of the table that the index makes?]
    rows_of_table = 6 * 7
    # [end]
    lesson.check(rows_of_table, len(index.search(vectors[:6], top=7)), "One for each answer.")
    pictures = np.stack([raw["image"][..., 0] for raw in on_paper.as_numpy_iterator()])
    answers = np.concatenate([np.arange(6)[:, None], nearest], axis=1).ravel()
    captions = (["query"] + [""] * 7) * 6
    plots.show(plots.mosaic(pictures[answers], captions, columns=8), out / "9_nearest.png")
    print(f"The pictures are in {out}")
    return {
        "4-way one-shot, unseen digits, pixels": table.loc["pixels", "one-shot"],
        "4-way one-shot, unseen digits, triplets": table.loc["triplets", "one-shot"],
        "equal error rate, unseen digits": table.loc["triplets", "equal error rate"],
        "spread after semi-hard mining": spreads["semi-hard"],
        "spread after hard mining": spreads["hard"],
        "10-way one-shot, digits, by Omniglot": ten,
    }


def loaded(data):
    """`Rows` of colour pictures to learn from, and of ids that are never seen."""
    if data:
        seen, unseen = (omniglot.load(split, data) for split in omniglot.splits)
        return coloured(sampling.turned(seen)), coloured(unseen)
    digits = coloured(mnist.load("train", mnist.SUBSET))
    labels = np.asarray(digits.columns["label"])
    return digits.select(labels < SEEN), digits.select(np.flatnonzero(labels >= SEEN)[:400])


def coloured(rows):
    def read(row):
        raw = rows.read(row)
        return {**raw, "image": tf.image.grayscale_to_rgb(raw["image"])}

    return Rows(rows.columns, read, rows.class_names)


def inverted(rows):
    """Dark ink on light paper, as Omniglot has it."""
    rows = coloured(rows)

    def read(row):
        raw = rows.read(row)
        return {**raw, "image": 255 - raw["image"]}

    return Rows(rows.columns, read, rows.class_names)


def small_backbone(filters=32):
    """Three convolutions, each with a pooling: the network of most one-shot papers, narrower."""
    x = image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    for _ in range(3):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.MaxPooling2D(2)(keras.layers.ReLU()(normalization(x)))
    return keras.Model(image, {"c5": x})


def compiled(loss, rate, steps):
    model = embedder.build(small_backbone(), dim=64)
    optimizer = Muon(warmup_cosine(rate, steps), exclude_layers=["embedding"])
    model.compile(optimizer, loss, jit_compile=False)
    return model


def unseen_vectors(rows):
    """Raw pixels, at length 1, as vectors, with their ids."""
    raws = list(rows.as_numpy_iterator())
    pixels = np.stack([raw["image"][..., 0].ravel() for raw in raws]).astype("float32")
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True), np.array(
        [raw["label"] for raw in raws]
    )


def figures(vectors, ids):
    return {
        "one-shot": metrics.one_shot(vectors, ids, ways=4, trials=1000)[0],
        "recall@1": metrics.recall_at(vectors, ids),
        "MAP@R": metrics.map_at_r(vectors, ids),
        "equal error rate": metrics.equal_error_rate(*metrics.all_pairs(vectors, ids))[0],
    }


def costs():
    """What a pair costs by its distance, and a triplet by that of its negative."""
    d = np.linspace(0, 2, 101)
    lines = {
        "pair of one id, d^2": d**2,
        "pair of two ids, max(0, 1 - d)^2": np.maximum(0, 1 - d) ** 2,
        "triplet whose positive is 0.5 away": np.maximum(0, 0.2 + 0.5**2 - d**2),
    }
    return plots.curves(lines, "distance", "cost", x=d)


def flat(vectors, ids):
    """The two directions along which vectors differ most, a colour for each id."""
    centred = vectors - vectors.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return plots.points(centred @ axes[:2].T, ids)


if __name__ == "__main__":
    lesson.run(main, FULL, EXPECTED)
