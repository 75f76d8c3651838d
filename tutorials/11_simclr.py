"""SimCLR: what can be learned of pictures that nobody has labelled (lesson 11).

Paper:     Chen, Kornblith, Norouzi, Hinton 2020, "A Simple Framework for Contrastive Learning of
           Visual Representations"; Chen, He 2021, "Exploring Simple Siamese Representation
           Learning"; van den Oord, Li, Vinyals 2018, "Representation Learning with Contrastive
           Predictive Coding".
Lecture:   Advanced vision, slides "New state-of-the-art in representation learning"; ConvNets,
           slides "Siamese networks for invariant representations" and "Contrastive predictive
           coding".
Needs:     lesson 10.
Run:       python tutorials/11_simclr.py                      a minute, offline
           python tutorials/11_simclr.py --full --data DIR    CIFAR-10, on a GPU
Data:      DIR holds CIFAR-10, in any of the layouts that it is published in.
Expect:    EXPECTED, below, which the lesson prints beside what it has measured.
Pictures:  out/11_simclr/, or out/11_simclr_full/
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from keras_vision import images, lesson, plots
from keras_vision.classification import resnet
from keras_vision.classification.probe import probe
from keras_vision.datasets import cifar10, mnist, samples
from keras_vision.layers import normalization
from keras_vision.metric_learning import NTXent, cpc, embed, embedder, simclr, simsiam, views
from keras_vision.metric_learning.evaluate import spread_of
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.rows import Rows
from keras_vision.training import BatchData, TrainConfig, launch

EXPECTED = {  # (value, tolerance) of the fast form
    "linear probe, untrained": (0.68, 0.05),
    "linear probe, SimCLR": (0.89, 0.03),
    "linear probe, SimSiam": (0.82, 0.06),
    "spread, SimSiam": (0.69, 0.2),
    "spread, nothing to hold it": (0.0, 0.1),
}
FULL = {"steps": 20_000, "rate": 3e-3, "batch": 512}
TEMPERATURE = 0.2


def main(data=None, out="out/11_simclr", steps=150, rate=5e-3, batch=128):
    # %% [markdown]
    # ## 1. Task
    # There are pictures, but no labels. Still it is known what shall not matter: two *views* of a
    # picture, cropped, coloured and turned in different ways, show the same. From that alone a
    # network learns vectors, of which a single layer can then read classes.

    # %%
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    train, test = loaded(data)
    photo = images.scaled(samples.photos()["cat"], 160)[:, :160]
    seed, names = np.array([3, 7]), list(views.panels())
    panels = [np.asarray(step(photo[None], seed))[0] for step in views.panels().values()]
    panels = [np.clip(panel, 0, 255).astype("uint8") for panel in panels]
    sheet, captions = ([of[:5], of[5:]] for of in (panels, names))
    plots.show(plots.contact_sheet(sheet, [""] * 5, captions), out / "1_views.png")
    # [solution: of 128 pictures two views each are made: how many views has a batch?]
    views_of_batch = 128 * 2
    # [end]
    _, ids = views.two((train[0][:128], 0), seed, views.in_turn())
    lesson.check(views_of_batch, len(ids), "Two of each.")

    # %% [markdown]
    # ## 2. Loss
    # NT-Xent: of all other views in the batch, which is the other one of the same picture? It is a
    # softmax over similarities, with the right answer known for nothing.

    # %%
    # [solution: 256 views, all vectors equal: what does each view pay?]
    cost_of_equal = np.log(256 - 1)
    # [end]
    equal = np.tile(np.float32([[0.6, 0.8]]), (len(ids), 1))
    cost = float(NTXent(TEMPERATURE)(ids, equal))
    lesson.check(cost_of_equal, cost, "It guesses among all the others, but not itself.")
    # [solution: cosines of 1 and 0.8, temperature 0.2: how much more probable is the first?]
    factor = np.exp((1 - 0.8) / 0.2)
    # [end]
    odds = np.exp(1 / TEMPERATURE) / np.exp(0.8 / TEMPERATURE)
    lesson.check(factor, float(odds), "Similarities are divided by it, and are logits then.")

    # %% [markdown]
    # ## 3. Architecture
    # A backbone, and a *head* of two layers, on whose output the loss is. The head learns what the
    # views have in common, and forgets what they have not, colour for one; so it is thrown away
    # afterwards, and the vectors are those below it.

    # %%
    # BatchNorm learns a scale and an offset for each number, the last layer has a bias.
    # [solution: 32 numbers go in, 32 are hidden, 128 come out: weights of the head that learn?]
    weights_of_head = 32 * 32 + 2 * 32 + 32 * 128 + 128
    # [end]
    head = keras.Sequential([keras.Input((32,)), *head_of(simclr.build(backbone()))])
    learned = sum(int(np.prod(w.shape)) for w in head.trainable_weights)
    lesson.check(weights_of_head, learned, "The first layer needs no bias: an offset follows.")

    # %% [markdown]
    # ## 4. Optimiser
    # Muon, as before. SimCLR wants large batches, thousands on many machines: the more views, the
    # harder the question. `launch` lets replicas see each other's.

    # %% [markdown]
    # ## 5. Dataset
    # Which views? What they have in common is what will be kept. Digits must not be flipped or
    # turned by half: a 6 would be a 9.

    # %%
    if data:
        view = views.simclr(0.5, window=None)
    else:
        view = views.in_turn(
            partial(views.crop, area=(0.4, 1.0)), views.jitter(0.8), views.cutout(), views.noise
        )
    flow = BatchData(
        Rows({"image": train[0], "label": train[1]}), batch, mix=partial(views.two, view=view)
    )
    shown, _ = next(iter(flow()))
    both = np.stack([shown[:16], shown[batch : batch + 16]], axis=1).reshape(-1, *shown.shape[1:])
    plots.show(plots.mosaic(np.clip(both, 0, 255), columns=8), out / "5_pairs.png")

    # %% [markdown]
    # ## 6. Training
    # SimCLR, and SimSiam, which does without negatives: one view is predicted from the other,
    # which stands still meanwhile.

    # %%
    def trained(folder, build, loss, steps=steps):
        model = launch(
            TrainConfig(
                model=partial(compiled, build, loss, rate, steps, data),
                dataflow=flow,
                steps_per_epoch=steps,
                max_epoch=1,
                log_dir=out / folder,
            )
        )
        below = keras.Model(model.input, {"c5": model.get_layer("pooled").input})
        return model, embedder.build(below, dim=None)

    _, contrasted = trained("simclr", simclr.build, NTXent(TEMPERATURE))
    siamese, predicted = trained("simsiam", simsiam.build, simsiam.Invariance())

    # %% [markdown]
    # ## 7. Validation and tuning
    # The *linear probe*: the network stands still, and one layer learns the classes of its
    # vectors. Beside it the same network as it was before, whose random filters tell more than one
    # would think.

    # %%
    keras.utils.set_random_seed(0)
    untrained = embedder.build(backbone(data), dim=None)
    networks = {"untrained": untrained, "SimCLR": contrasted, "SimSiam": predicted}
    found = {
        name: probe(embed(network, train[0]), train[1], embed(network, test[0]), test[1])
        for name, network in networks.items()
    }
    print(pd.Series(found, name="linear probe").to_string(float_format="{:.3f}".format))

    # %% [markdown]
    # ## 8. Diagnosis
    # A failure on purpose, the slide's "Any issue?": that both views shall have the same vector is
    # all that is asked, without negatives, predictor or anything that stands still. The network
    # finds the simplest answer: the same vector for all.

    # %%
    # [solution: all vectors are equal; the cosine of two of them, which is wanted to be large?]
    best_cosine = np.cos(0)
    # [end]
    equal = np.tile(np.float32([[[0.6, 0.8]] * 2]), (4, 1, 1))
    cost = float(simsiam.Invariance(False)(np.array([0, 0, 1, 1]), equal))
    lesson.check(
        best_cosine, round(-cost), "They point in the same direction: there is no better."
    )
    collapsed, _ = trained(
        *("collapsed", partial(simsiam.build, predictor=False), simsiam.Invariance(False)),
        steps // 2,
    )
    spreads = {
        name: spread_of(model.predict(test[0], batch_size=256, verbose=0)[:, 1])
        for name, model in {"SimSiam": siamese, "nothing to hold it": collapsed}.items()
    }
    print(pd.Series(spreads, name="spread").to_string(float_format="{:.3f}".format))

    # %% [markdown]
    # ## 9. Unseen test
    # Contrastive predictive coding asks the same question of the parts of a picture: what comes
    # some rows below, among N candidates? log N minus its loss is at most the information that the
    # two parts share. Numbers whose mutual information is known show that bound: it is never
    # exceeded, and log N is the most that it can tell.

    # %%
    # [solution: the most that 64 candidates can tell, in nats?]
    most_of_64 = np.log(64)
    # [end]
    lesson.check(most_of_64, 6 * float(np.log(2)), "Its loss is never below zero.")
    information = np.linspace(0.5, 8, 6)
    lines = {"mutual information": information}
    for count in (16, 64, 512):
        lines[f"log N - loss, N = {count}"] = [bound(nats, count) for nats in information]
    figure = plots.curves(lines, "mutual information, nats", "nats told", x=information)
    plots.show(figure, out / "9_bound.png")
    print(f"The pictures are in {out}")
    return {
        **{f"linear probe, {name}": value for name, value in found.items()},
        **{f"spread, {name}": value for name, value in spreads.items()},
    }


def loaded(data):
    """((photos, labels) to learn from, the same to test on), in colour."""
    if data:
        rows = [cifar10.load(split, data) for split in cifar10.splits]
    else:
        rows = [mnist.load(split, mnist.SUBSET) for split in mnist.splits]
    arrays = []
    for raws in (list(one.as_numpy_iterator()) for one in rows):
        photos = np.stack([raw["image"] for raw in raws])
        photos = np.repeat(photos, 3, -1) if photos.shape[-1] == 1 else photos
        arrays.append((photos, np.array([raw["label"] for raw in raws])))
    return arrays


def backbone(data=None, filters=32):
    """Three convolutions, each with a pooling; of the full form a ResNet-18."""
    if data:
        return resnet.backbone(18, small=True)
    x = image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    for _ in range(3):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.MaxPooling2D(2)(keras.layers.ReLU()(normalization(x)))
    return keras.Model(image, {"c5": x})


def head_of(model):
    """The layers of the projection head."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index("pooled") + 1 : -1]


def compiled(build, loss, rate, steps, data):
    model = build(backbone(data))
    ends = ["^conv1/", "projection", "predictor"]
    model.compile(Muon(warmup_cosine(rate, steps), exclude_layers=ends), loss, jit_compile=False)
    return model


def bound(information, count, pairs=8):
    """log N - InfoNCE of N pairs of normal numbers with this mutual information, in nats.

    Each pair has several independent numbers, correlated by rho; the best critic is known.
    """
    rng = np.random.default_rng(0)
    rho = np.sqrt(1 - np.exp(-2 * information / pairs))
    values = []
    for _ in range(2048 // count):
        x, noise = rng.normal(size=(2, count, pairs))
        y = rho * x + np.sqrt(1 - rho**2) * noise
        scale = rho / (1 - rho**2)
        queries = np.concatenate([scale * x, np.full_like(x, -rho * scale / 2)], axis=1)
        keys = np.concatenate([y, y**2], axis=1)
        loss = np.mean(cpc.info_nce(queries.astype("float32"), keys.astype("float32")))
        values.append(np.log(count) - loss)
    return float(np.mean(values))


if __name__ == "__main__":
    lesson.run(main, FULL, EXPECTED)
