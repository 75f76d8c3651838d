"""Architectures: what LeNet, AlexNet, VGG, GoogLeNet, ResNet and MobileNet are made of (lesson 4).

Paper:     LeCun et al. 1998; Krizhevsky et al. 2012; Simonyan, Zisserman 2015; Szegedy et al.
           2015; He et al. 2016; Howard et al. 2017. The networks' files name them.
Lecture:   ConvNets, slides "Quiz" to "Inception-GoogLeNet", "Old school Computer Vision", and
           "Data augmentation".
Needs:     lessons 1 or 2; what BatchNorm does helps.
Run:       python tutorials/04_architectures.py                      a minute on two cores, offline
           python tutorials/04_architectures.py --full --data DIR    Tiny ImageNet, on GPUs
Data:      DIR is the folder tiny-imagenet-200 as it is published (wnids.txt, words.txt, train/,
           val/); python scripts/download_tiny_imagenet.py fetches it.
Expect:    EXPECTED, below, which the lesson prints beside what it has measured.
Pictures:  out/04_architectures/, or out/04_architectures_full/
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure

from keras_vision import arithmetic, images, lesson, pipeline, plots
from keras_vision.classification import (
    alexnet,
    classify,
    googlenet,
    lenet,
    mistakes,
    mnist_convnet,
    mobilenet,
    networks,
    resnet,
    transfer,
    vgg,
)
from keras_vision.classification.data import central, flip
from keras_vision.classification.recipes import RECIPES
from keras_vision.datasets import folder, mnist, samples, tiny_imagenet
from keras_vision.training import BatchData, InferenceRunner, TrainConfig, launch

EXPECTED = {  # (value, tolerance) of the fast form
    "loss before training": (2.4, 0.3),
    "accuracy, LeNet": (0.85, 0.08),
    "accuracy, ResNet-34": (0.8, 0.12),
    "accuracy, plain, 34 layers": (0.25, 0.15),
    "accuracy, six classes, from scratch": (0.25, 0.15),
    "accuracy, six classes, transferred": (0.9, 0.1),
}
FULL = {"epochs": 20, "width": 1.0, "rate": 1e-3}
# Top-1 on ImageNet as torchvision and Keras publish it.
TOP_1 = {
    "alexnet": 56.5,
    "vgg16": 71.6,
    "googlenet": 69.8,
    "resnet50": 76.1,
    "mobilenet": 70.9,
}


def main(data=None, out="out/04_architectures", epochs=3, width=1 / 8, rate=2e-3):
    # %% [markdown]
    # ## 1. Task
    # A picture goes in, a number for each class comes out: the logits, of which softmax makes
    # probabilities. All networks of this lesson do this, and differ in between only.

    # %%
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    photo = images.read(samples.FOLDER / "cat.jpg")
    shipped = resnet.build(weights="tiny_imagenet")
    # [solution: one photo of 64x64 in colour: the shape of a batch of it?]
    shape_of_batch = (1, 64, 64, 3)
    # [end]
    seen = central({"image": photo}, 64)["image"][None]
    lesson.check(shape_of_batch, seen.shape, "Photos in a batch, rows, columns, channels.")
    # [solution: 200 classes: the shape of the logits?]
    shape_of_logits = (1, 200)
    # [end]
    lesson.check(shape_of_logits, shipped(seen).shape, "How many numbers does each photo get?")
    photos = list(samples.photos().values())
    answers = classify(shipped, photos, tiny_imagenet.class_names)
    squares = [central({"image": rgb}, 256)["image"].numpy() for rgb in photos]
    sheet = plots.contact_sheet(in_threes(squares), [""] * 3, in_threes(captions_of(answers)))
    plots.show(sheet, out / "1_answers.png")

    # %% [markdown]
    # ## 2. Loss
    # Cross-entropy: minus the logarithm of the probability of the right class.

    # %%
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # [solution: ten classes, all equally likely to an untrained network: what does it cost?]
    first_loss = np.log(10)
    # [end]
    hint = "Each class is given the same probability: what is minus its logarithm?"
    lesson.check(first_loss, float(loss(np.array([3]), np.zeros((1, 10)))), hint)

    # %% [markdown]
    # ## 3. Architecture
    # First the quiz of the slides, asked of LeNet-5. `arithmetic.inspect` tabulates what each
    # layer does: its output, what one of its cells sees of the picture (`field`), what it costs.

    # %%
    quiz = arithmetic.inspect(lenet.build())
    # [solution: 28x28 and a margin of 2; 5x5 window, halved, 5x5, halved: the side of S4?]
    side_after_second_pooling = ((28 + 2 * 2 - 4) // 2 - 4) // 2
    # [end]
    hint = "A window of five cells fits into n of them at n less four places."
    lesson.check(side_after_second_pooling, quiz.loc["S4", "output"][0], hint)
    # [solution: how many pixels a side does one cell of C3, the second convolution, depend on?]
    side_of_the_field = 5 + (2 - 1) + (5 - 1) * 2
    # [end]
    hint = "Five cells of S2, each of two cells of C1, of which each looks through a window."
    lesson.check(side_of_the_field, quiz.loc["C3", "field"], hint)
    print(quiz[["kind", "output", "field", "parameters", "macs"]].to_string())
    print(f"Hardest to compute is {quiz['macs'].idxmax()}; most weights has ", end="")
    print(f"{quiz['parameters'].idxmax()}\n")

    # %% [markdown]
    # What became cheaper since: two groups (AlexNet, for its two GPUs), 1x1 first (GoogLeNet and
    # ResNet-50), each channel for itself (MobileNet). All map 256 maps to 256 with a 3x3 window.

    # %%
    full = 3 * 3 * 256 * 256
    # [solution: in two groups, each kernel sees half of the maps: how many weights remain?]
    grouped = full / 2
    # [end]
    # [solution: a 3x3 window for each map by itself, then 1x1 across all of them: how many?]
    separable = 3 * 3 * 256 + 256 * 256
    # [end]
    # [solution: 1x1 to a quarter of the maps, 3x3 among those, 1x1 back: how many?]
    bottleneck = 256 * 64 + 3 * 3 * 64 * 64 + 64 * 256
    # [end]
    counted = {name: weights_of(layers) for name, layers in replacements().items()}
    lesson.check(grouped, counted["two groups"], "Every kernel is half as deep.")
    lesson.check(separable, counted["separable"], "Add up two layers, and leave biases out.")
    lesson.check(bottleneck, counted["bottleneck"], "Add up three layers; a quarter is 64.")
    for name, count in counted.items():
        print(f"{name:12} {count:9,} weights, {count / full:6.1%}")

    # %% [markdown]
    # The published networks at 224x224. More parameters are not more work, nor better answers.

    # %%
    costs = {name: costs_of(networks.build(name), 224) for name in TOP_1}
    published = pd.DataFrame(costs, ["million parameters", "billion macs"]).T
    published["top-1 on ImageNet"] = pd.Series(TOP_1)
    print(published.round(2).to_string())
    plots.show(bubbles(published, "billion macs", "top-1 on ImageNet"), out / "3_published.png")

    # %% [markdown]
    # ## 4. Optimiser
    # Adam, with a rate that falls along a cosine. What is compared here are architectures, so all
    # get the same, and as many pictures.

    # %%
    if data:
        train, validation = (tiny_imagenet.load(split, data) for split in ("train", "val"))
    else:
        train, validation = (mnist.load(split, mnist.SUBSET) for split in ("train", "test"))
        validation = validation.select(slice(500))
    classes = len(train.class_names)
    steps = len(train) // 32 if data else 25

    def compiled(build):
        model = build(classes=classes)
        model.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps * epochs)),
            loss,
            metrics=["accuracy"],
            jit_compile=False,
        )
        return model

    # %% [markdown]
    # ## 5. Dataset
    # The fast form learns from digits, the full one from Tiny ImageNet. A cat that is rotated by
    # 15 degrees is still a cat (slide "Data augmentation"): one column a recipe.

    # %%
    # [solution: does a mirrored cat remain one for a network, and do mirrored digits?]
    keep_their_labels = (True, False)
    # [end]
    digits = mnist_convnet.build(weights="mnist")
    right = same_if_mirrored(shipped, photo[None]), same_if_mirrored(digits, on_paper(200))
    lesson.check(keep_their_labels, np.greater(right, 0.9), "What does a 2 look like in a mirror?")
    print(f"Of mirrored digits {right[1]:.0%} are still taken for the same")
    sheet = augmented(central({"image": photo}, 128)["image"], rows=3)
    plots.show(plots.contact_sheet(sheet, list(RECIPES)), out / "5_augmentation.png")

    # %% [markdown]
    # ## 6. Training
    # Each network in a narrow form for small pictures, for as many steps. What `launch` says of
    # LeNet is shown, the rest is in a log beside the run.

    # %%
    small = {
        "LeNet": lenet.build,
        "AlexNet": partial(alexnet.build, small=True, width=width),
        "VGG-11": partial(vgg.build, 11, norm=True, width=width),
        "ResNet-34": partial(resnet.build, 34, small=True, width=width),
        "plain, 34": partial(resnet.build, 34, residual=False, small=True, width=width),
        "MobileNet": partial(mobilenet.build, small=True, width=2 * width),
    }
    pictures, labels = next(iter(pipeline.batches(validation, partial(prepared, grey=True), 250)))
    untrained_loss = float(loss(labels, lenet.build(classes=classes)(pictures)))
    print(f"Untrained, the loss of LeNet is {untrained_loss:.2f}")
    if data:  # many small layers, which take long to compile
        small["GoogLeNet"] = partial(googlenet.build, small=True, width=width)
    models, unseen = {}, {}
    for name, build in small.items():
        example = partial(prepared, grey=name == "LeNet")
        unseen[name] = InferenceRunner(BatchData(validation, 250, True, example))
        log = lesson.printed_to(out / f"{name}.log")
        with nullcontext() if name == "LeNet" else log:
            models[name] = launch(
                TrainConfig(
                    model=partial(compiled, build),
                    dataflow=BatchData(train, 32, example=example),
                    callbacks=[unseen[name]],
                    steps_per_epoch=steps,
                    max_epoch=epochs,
                    log_dir=out / name,
                )
            )
        print(f"{name} has been trained")

    # %% [markdown]
    # ## 7. Validation and tuning
    # The table, with a row for what came before: histograms of oriented gradients and a linear
    # classifier on them (slide "Old school Computer Vision").

    # %%
    histories = {name: pd.read_csv(out / name / "history.csv") for name in small}
    side = 64 if data else 32
    table = pd.DataFrame(
        {name: costs_of(model, side) for name, model in models.items()},
        ["million parameters", "billion macs"],
    ).T
    table[f"ms for {len(validation)}"] = {
        name: milliseconds(model, unseen[name].dataset) for name, model in models.items()
    }
    table["accuracy"] = {name: h["validation_accuracy"].iloc[-1] for name, h in histories.items()}
    table.loc["HOG + linear SVM", "accuracy"] = gradients_and_svm(train, validation)
    print(table.to_string(float_format="{:.4f}".format, na_rep=""))
    known = table.dropna().assign(macs=1e3 * table["billion macs"])
    known = known.rename(columns={"macs": "million macs"})
    plots.show(bubbles(known, "million macs", "accuracy"), out / "7_networks.png")

    # %% [markdown]
    # ## 8. Diagnosis
    # A failure on purpose: 34 layers without shortcuts. It is not that they overfit, for they are
    # worse on the training pictures, too (He et al., figure 4). Whatever a shallow network
    # computes a deeper one could; but the gradient does not find the way.

    # %%
    lines = {name: histories[name]["loss"] for name in ("plain, 34", "ResNet-34")}
    x = histories["ResNet-34"]["epoch"]
    plots.show(plots.curves(lines, "epoch", "training loss", x=x), out / "8_residual.png")
    batch = pipeline.batches(validation, prepared, len(validation) if not data else 1000)
    pictures, labels = (part.numpy() for part in next(iter(batch)))
    logits = models["ResNet-34"].predict(pictures, batch_size=250, verbose=0)
    names = np.array([name.partition(",")[0] for name in train.class_names])
    worst = mistakes(labels, logits).head(24)
    captions = [f"{names[a]}, not {names[b]}" for a, b in worst[["label", "predicted"]].to_numpy()]
    plots.show(plots.mosaic(pictures[worst["example"]], captions), out / "8_mistakes.png")
    print("Rows: what it is; columns: what ResNet-34 says it is")
    print(confusion(names[labels], names[logits.argmax(-1)], most=10).to_string())

    # %% [markdown]
    # ## 9. Unseen test
    # Few have a million labelled photos. Transfer: take a network that has learned from others'
    # photos, here Tiny ImageNet's, and let it begin your task, here one folder a class with five
    # pictures in each. What is frozen cannot forget; what is tuned can adapt.

    # %%
    own = own_pictures(out / "pictures")
    rows = folder.load(own)
    few = np.flatnonzero([b"train" in name for name in rows.columns["name"].numpy()])
    unseen = np.setdiff1d(np.arange(len(rows)), few)
    backbone = partial(resnet.backbone, weights="tiny_imagenet")
    starts = {
        "from scratch": (partial(resnet.backbone, 18, small=True, width=0.5), None),
        "all tuned": (backbone, None),
        "last stage tuned": (backbone, "c4"),
        "all frozen": (backbone, "c5"),
    }
    scores = {}
    for name, (base, until) in starts.items():
        with lesson.printed_to(out / f"{name}.log"):
            launch(
                TrainConfig(
                    model=partial(transferred, base, until, len(rows.class_names), loss),
                    dataflow=BatchData(rows.select(few), 30, example=halved, augment=flip),
                    callbacks=[InferenceRunner(BatchData(rows.select(unseen), 46, True, halved))],
                    steps_per_epoch=epochs,
                    max_epoch=2,
                    log_dir=out / name,
                )
            )
        history = pd.read_csv(out / name / "history.csv")
        scores[name] = history["validation_accuracy"].iloc[-1]
        print(f"{name:17} {scores[name]:.2f} of the unseen pictures are right")
    plots.show(bars(scores, "accuracy on unseen pictures"), out / "9_transfer.png")
    print(f"The pictures are in {out}")
    return {
        "loss before training": untrained_loss,
        "accuracy, LeNet": table.loc["LeNet", "accuracy"],
        "accuracy, ResNet-34": table.loc["ResNet-34", "accuracy"],
        "accuracy, plain, 34 layers": table.loc["plain, 34", "accuracy"],
        "accuracy, six classes, from scratch": scores["from scratch"],
        "accuracy, six classes, transferred": scores["last stage tuned"],
    }


def captions_of(answers):
    """The answers to each photo in a line."""
    words = answers["name"].str.partition(",")[0] + answers["probability"].map(" {:.0%}".format)
    return words.groupby(answers["photo"]).agg(", ".join).tolist()


def in_threes(things):
    return [things[:3], things[3:]]


def replacements():
    """What took the place of a 3x3 convolution from 256 maps to 256: {name: layers}."""
    conv = partial(keras.layers.Conv2D, padding="same", use_bias=False)
    return {
        "full": [conv(256, 3)],
        "two groups": [conv(256, 3, groups=2)],
        "separable": [keras.layers.SeparableConv2D(256, 3, padding="same", use_bias=False)],
        "bottleneck": [conv(64, 1), conv(64, 3), conv(256, 1)],
    }


def weights_of(layers):
    return keras.Sequential([keras.Input((8, 8, 256)), *layers]).count_params()


def costs_of(model, side):
    """(million parameters, billion multiply-adds), at this size where the model takes any."""
    totals = arithmetic.totals(arithmetic.inspect(model, sides(model, side)))
    return totals["parameters"] / 1e6, totals["macs"] / 1e9


def sides(model, side):
    return [own or side for own in model.input_shape[1:3]]


def milliseconds(model, batches):
    """How long an evaluation takes, for which the model has been compiled already."""
    began = time.perf_counter()
    model.evaluate(batches, verbose=0)
    return 1e3 * (time.perf_counter() - began)


def bubbles(table, x, y):
    """A network is a bubble as large as the number of its parameters."""
    figure = Figure(figsize=(6, 3.6), dpi=150, layout="constrained")
    axis = figure.subplots()
    sizes = 600 * table["million parameters"] / table["million parameters"].max()
    axis.scatter(table[x], table[y], s=sizes, alpha=0.5)
    place = np.log(table[x].astype(float))
    for name, row in table.iterrows():
        others = place.drop(name) - place[name]
        left = others[others.abs().idxmin()] > 0  # away from the nearest neighbour
        beside = (-16, "right") if left else (16, "left")
        axis.annotate(
            name,
            (row[x], row[y]),
            xytext=(beside[0], -3),
            textcoords="offset points",
            fontsize=8,
            ha=beside[1],
        )
    axis.set(xlabel=x, ylabel=y, xscale="log")
    axis.margins(0.3, 0.2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)
    return figure


def on_paper(count):
    """The first digits of MNIST's test split as photos, dark on light."""
    digits, _ = mnist.arrays("test", mnist.SUBSET)
    return np.repeat(255 - digits[:count, ..., None], 3, axis=-1)


def same_if_mirrored(model, photos):
    """The share of photos for which the model's first answer does not change in a mirror."""
    first, second = (classify(model, rgb)["label"] for rgb in (photos, photos[:, :, ::-1]))
    return (first == second).mean()


def bars(values, label):
    """A named bar for each of {name: value in 0..1}, the first on top."""
    figure = Figure(figsize=(6, 0.4 + 0.4 * len(values)), dpi=150, layout="constrained")
    axis = figure.subplots()
    axis.bar_label(axis.barh(list(values), list(values.values())), fmt="{:.0%}", padding=3)
    axis.invert_yaxis()
    axis.set(xlabel=label, xlim=(0, 1.1))
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def augmented(picture, rows):
    """Each recipe's draws of a picture: a list of columns, `rows` times."""
    raw = {"image": picture}
    draw = tf.data.Dataset.range(rows).map
    columns = [draw(lambda n, r=recipe: r(raw, (n, 7))["image"]) for recipe in RECIPES.values()]
    return list(zip(*(column.as_numpy_iterator() for column in columns), strict=True))


def prepared(raw, grey=False):
    """What a network eats: colour, or grey pictures of 28x28 for LeNet; digits get a margin."""
    image, is_digit = tf.cast(raw["image"], tf.float32), raw["image"].shape[-1] == 1
    if grey:
        image = image if is_digit else tf.image.rgb_to_grayscale(image)
        return tf.image.resize(image, (28, 28)), raw["label"]
    if is_digit:
        image = tf.image.grayscale_to_rgb(tf.pad(image, [[2, 2], [2, 2], [0, 0]]))
    return image, raw["label"]


def gradients_and_svm(train, validation):
    """Dalal, Triggs 2005: histograms of oriented gradients, and a linear support vector machine.

    The accuracy, or NaN where the two libraries are not installed.
    """
    try:
        from skimage.feature import hog
        from sklearn.svm import LinearSVC
    except ImportError as error:
        print(f"No row for HOG: {error}. pip install scikit-image scikit-learn")
        return np.nan

    def described(rows):
        pairs = list(pipeline.batches(rows, partial(prepared, grey=True), 256))
        pictures = np.concatenate([x[..., 0] for x, _ in pairs])
        cells = {"orientations": 9, "pixels_per_cell": (7, 7), "cells_per_block": (2, 2)}
        return [hog(picture, **cells) for picture in pictures], np.concatenate(
            [y for _, y in pairs]
        )

    some = train.select(np.arange(0, len(train), max(1, len(train) // 1000)))
    machine = LinearSVC(C=0.1, random_state=0).fit(*described(some))
    return machine.score(*described(validation))


def confusion(labels, predicted, most):
    """How often each of the `most` frequent classes was taken for which."""
    kept = pd.Series(labels).value_counts().index[:most]
    table = pd.crosstab(labels, predicted, rownames=[""], colnames=[""])
    return table.reindex(index=sorted(kept), columns=sorted(kept), fill_value=0)


def own_pictures(root):
    """A folder a class: five crops of each built-in photo to learn from, and the unseen ones."""
    for split in ("train", "val"):
        rows, counts = samples.load(split), {}
        for raw in rows.as_numpy_iterator():
            name = raw["name"].decode()
            counts[name] = counts.get(name, 0) + 1
            if split == "val" or counts[name] <= 5:
                (root / name).mkdir(parents=True, exist_ok=True)
                path = root / name / f"{split}_{counts[name]:02}.png"
                images.save(path, raw["image"], overwrite=True)
    return root


def halved(raw):
    """(picture of 32x32, label), which takes a quarter of the time."""
    return central(raw, 32, share=1.0)["image"], raw["label"]


def transferred(base, until, classes, loss):
    """A network with a new last layer, compiled; what lies before the maps `until` is frozen."""
    backbone = base()
    model = transfer.classifier(backbone, classes)
    transfer.freeze(backbone, until)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False)
    return model


if __name__ == "__main__":
    lesson.run(main, FULL, EXPECTED)
