"""Colourisation: learn colours without a single label (lesson 1).

Paper:     Zhang, Isola, Efros, "Colorful Image Colorization", ECCV 2016.
Lecture:   ConvNets tutorial, slides "Define task: Image colourisation" to "Tracking emerges by
           colorizing videos".
Needs:     convolutions, softmax and cross-entropy, gradient descent.
Run:       python tutorials/01_colorization.py                       a minute on two cores, offline
           python tutorials/01_colorization.py --full --data DIR     all of Tiny ImageNet, on GPUs
Data:      DIR is the folder tiny-imagenet-200 as it is published (wnids.txt, words.txt, train/,
           val/); python scripts/download_tiny_imagenet.py fetches it.
Expect:    EXPECTED, below, which the lesson prints beside what it has measured.
Pictures:  out/01_colorization/, or out/01_colorization_full/
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from keras_vision import colorization, lesson, pipeline, plots
from keras_vision.colorization import bins
from keras_vision.colorization.color import lab_to_rgb, rgb_to_lab
from keras_vision.colorization.data import pair, zoom
from keras_vision.datasets import samples, tiny_imagenet
from keras_vision.training import BatchData, InferenceRunner, PictureWriter, TrainConfig, launch

EXPECTED = {  # (value, tolerance) of the fast form
    "loss before training": (5.75, 0.05),
    "loss of the first epoch, rebalanced": (4.4, 0.6),
    "loss of the last epoch, rebalanced": (3.0, 0.4),
    "chroma over the truth's, L2": (0.5, 0.1),
    "chroma over the truth's, rebalanced": (1.0, 0.15),
}
FULL = {"epochs": 30, "width": 1.0, "rate": 3e-4}


def main(data=None, out="out/01_colorization", epochs=16, width=1 / 8, rate=2e-3):
    # %% [markdown]
    # ## 1. Task
    # A grey photo goes in, its colours come out. In the colour space Lab, L is the lightness
    # (0 to 100), a runs from green to red and b from blue to yellow. The network maps L to ab.
    # Any colour photo is an example with its answer: self-supervision (slide "Define task").

    # %%
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    photos = samples.photos()
    photo = photos["pavilion"]
    lightness, ab = pair({"image": photo})
    # [solution: the photo is (320, 480, 3): what are the shapes of L and of ab?]
    predicted_shapes = (320, 480, 1), (320, 480, 2)
    # [end]
    hint = "Rows and columns stay; how many numbers does each need for a pixel?"
    lesson.check(predicted_shapes, [tuple(x.shape) for x in (lightness, ab)], hint)
    flat = np.full_like(lightness, 65)
    colours = lab_to_rgb(np.concatenate([flat, ab], axis=-1))
    colours = np.rint(colours).astype("uint8")
    sheet = plots.contact_sheet(
        [[photo, colorization.grey(photo), colours]], ["photo", "L: given", "ab: wanted"]
    )
    plots.show(sheet, out / "1_task.png")

    # %% [markdown]
    # ## 2. Loss
    # Regression first: half the squared distance of ab (slide "1st option"). Say that balloons
    # are red or green, equally often, and their lightness does not tell which.

    # %%
    red, green = np.float32([60, 40]), np.float32([-60, 40])
    # [solution: which single ab has the least mean squared distance to both?]
    best_for_l2 = (red + green) / 2
    # [end]
    lesson.check(best_for_l2, partial(costs_least, [red, green]), "Where are both equally near?")
    l2, balloons = colorization.L2(), np.stack([red, green])[:, None, None]
    best, always_red = (np.broadcast_to(ab, balloons.shape) for ab in (best_for_l2, red))
    print(
        f"L2's best answer to a red or green balloon: a = {best_for_l2[0]:.0f}, hardly a colour."
    )
    print(f"It costs {l2(balloons, np.float32(best)):.0f}, red {l2(balloons, always_red):.0f}")

    # %% [markdown]
    # So colours become classes: the ab plane is cut into 313 bins, the network gives each a
    # probability, and "half red, half green" can be said (slide "Classification"). The target
    # of a pixel spreads over its five nearest bins.

    # %%
    indices, weights = bins.soft_encode(red)
    for index, weight in zip(np.asarray(indices), np.asarray(weights), strict=True):
        print(f"bin {bins.CENTERS[index]}: {weight:.3f}")
    # [solution: 313 bins, all equally likely to an untrained network: what is the cross-entropy?]
    first_loss = np.log(313)
    # [end]
    cross_entropy = colorization.RebalancedCrossEntropy()
    uniform = np.zeros((2, 1, 1, 313), "float32")
    hint = "Each bin is given the same probability: what is minus its logarithm?"
    lesson.check(first_loss, float(cross_entropy(balloons, uniform)), hint)

    # %% [markdown]
    # ## 3. Architecture
    # Blocks of convolutions and ReLU, closed by BatchNorm; strides shrink the maps to an eighth,
    # dilation widens the view without shrinking them, one transposed convolution brings them to
    # a quarter (slide "Define architecture").

    # %%
    full_model = colorization.build()
    # [solution: conv1_1 has 64 filters of 3x3 on one channel: how many weights, biases counted?]
    weights_of_first = 64 * (3 * 3 * 1 + 1)
    # [end]
    first_layer = full_model.get_layer("conv1_1")
    hint = "How many weights has a single filter, its bias counted?"
    lesson.check(weights_of_first, first_layer.count_params(), hint)
    # [solution: three stages of stride 2, then one of stride 1/2: the logits' shape at 64x64?]
    logits_shape = (1, 16, 16, 313)
    # [end]
    hint = "Halve the sides three times and double them once; what does a cell hold?"
    lesson.check(logits_shape, full_model(np.zeros((1, 64, 64, 1))).shape, hint)
    print(
        f"The paper's network has {full_model.count_params():,} weights, ours here {width:g} of "
        "its filters in every layer"
    )

    # %% [markdown]
    # ## 4. Optimiser
    # Adam: every weight has a step size of its own (slide "Define optimiser"). The twins differ
    # in their head and their loss, and in nothing else.

    # %%
    def compiled(loss):
        model = colorization.build(
            bins=None if isinstance(loss, colorization.L2) else 313, width=width
        )
        model.compile(keras.optimizers.Adam(rate), loss)
        return model

    # %% [markdown]
    # ## 5. Dataset
    # The fast form learns from crops of six photos, the full one from Tiny ImageNet's 100,000.
    # Most pixels are nearly grey: the prior says how often each bin occurs, and rarity weighs
    # a pixel by how rare its colour is.

    # %%
    load = partial(tiny_imagenet.load, root=data) if data else samples.load
    train, validation = load("train"), load("val")
    prior = bins.estimate_prior(pipeline.batches(train, pair, 64))
    # [solution: rare colours shall count more: what weighs the bins, given their prior?]
    weights = bins.rarity(prior)
    # [end]
    losses = {"l2": colorization.L2(), "rebalanced": colorization.RebalancedCrossEntropy(prior)}
    hint = "The rarer, the more, and 1 in the mean over pixels: `bins` has it (equation 4)."
    lesson.check(weights, losses["rebalanced"].rarity, hint)
    light = np.concatenate([np.full((313, 1), 70), bins.CENTERS], axis=1)
    bin_colours = np.asarray(lab_to_rgb(light))
    plots.show(
        plots.colour_plane(bins.CENTERS, bin_colours, 8 * np.asarray(weights)),
        out / "5_rarity.png",
    )

    # %% [markdown]
    # ## 6. Training
    # Both twins for as many steps. Run the lesson again and it goes on where it was.

    # %%
    dataflow = BatchData(train, 32, example=pair, augment=zoom)
    # [solution: full batches only: how many steps has an epoch of len(train) photos?]
    predicted_steps = len(train) // 32
    # [end]
    lesson.check(predicted_steps, len(dataflow), "What does not fill a batch sits out the epoch.")
    spread = np.linspace(0, len(validation) - 1, 8).astype(int)
    shown = np.stack([raw["image"] for raw in validation.select(spread)])
    lightness, ab = next(iter(pipeline.batches(validation, pair, 32)))
    untrained_loss = float(cross_entropy(ab, colorization.build(width=width)(lightness)))
    print(f"Untrained, a network's loss is {untrained_loss:.2f}")
    models = {}
    for name, loss in losses.items():
        config = TrainConfig(
            model=partial(compiled, loss),
            dataflow=dataflow,
            callbacks=[
                InferenceRunner(BatchData(validation, 32, remainder=True, example=pair)),
                PictureWriter(partial(colorization.comparison, photos=shown)),
            ],
            steps_per_epoch=len(dataflow),
            max_epoch=epochs,
            log_dir=out / name,
        )
        models[name] = launch(config)

    # %% [markdown]
    # ## 7. Validation and tuning
    # The curves tell fast from slow and learning from memorising. Here validation is the easier:
    # its crops are of the same six photos, and neither zoomed nor mirrored. The networks that
    # come with this package had 100,000 photos: from here on, the fast form uses them.

    # %%
    history = pd.read_csv(out / "rebalanced" / "history.csv")
    lines = {"training": history["loss"], "validation": history["validation_loss"]}
    plots.show(plots.curves(lines, "epoch", "loss", x=history["epoch"]), out / "7_curves.png")
    if not data:
        models = {
            "l2": colorization.build(bins=None, weights="tiny_imagenet"),
            "rebalanced": colorization.build(weights="tiny_imagenet"),
        }
    temperatures = (1.0, 0.7, 0.38, 0.2, 0.0)
    sweep = [
        [colorization.colorize(models["rebalanced"], photos[name], t) for t in temperatures]
        for name in ("pavilion", "cat")
    ]
    titles = [f"T = {t:g}" for t in temperatures]
    titles[0], titles[-1] = "T = 1: mean", "T = 0: mode"
    plots.show(plots.contact_sheet(sweep, titles), out / "7_temperatures.png")

    # %% [markdown]
    # ## 8. Diagnosis
    # A failure on purpose: the L2 twin answers with the mean of all likely colours. Its chroma
    # is far below the truth's, though its ab error is no worse. What did the first layer learn?

    # %%
    coloured = {
        name: colorization.colorize(model, list(photos.values())) for name, model in models.items()
    }
    chroma = {name: chroma_ratio(photos.values(), coloured[name]) for name in models}
    print(
        "Mean chroma over the truth's:", {name: round(value, 2) for name, value in chroma.items()}
    )
    kernels = models["rebalanced"].get_layer("conv1_1").get_weights()[0]
    plots.show(plots.filters(kernels), out / "8_filters.png")

    # %% [markdown]
    # ## 9. Unseen test
    # Photos that no network has been trained on, and the judge that counts: your eye.

    # %%
    rows = [
        [colorization.grey(rgb), rgb, *both]
        for rgb, *both in zip(photos.values(), *coloured.values(), strict=True)
    ]
    sheet = plots.contact_sheet(rows, ["lightness", "true colours", "L2", "rebalanced"])
    plots.show(sheet, out / "9_unseen.png")
    print(f"The pictures are in {out}")
    return {
        "loss before training": untrained_loss,
        "loss of the first epoch, rebalanced": history["loss"].iloc[0],
        "loss of the last epoch, rebalanced": history["loss"].iloc[-1],
        "chroma over the truth's, L2": chroma["l2"],
        "chroma over the truth's, rebalanced": chroma["rebalanced"],
    }


def costs_least(colours, ab):
    """Whether the mean squared distance of ab (2,) to the colours grows with any step."""
    steps = np.float32([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])
    costs = [np.mean((np.stack(colours) - (ab + step)) ** 2) for step in steps]
    return np.shape(ab) == (2,) and costs[0] < min(costs[1:])


def chroma_ratio(true, coloured):
    """The mean length of ab over all pixels of photos, over the true photos'."""
    lengths = [
        np.concatenate(
            [np.linalg.norm(rgb_to_lab(rgb)[..., 1:], axis=-1).ravel() for rgb in photos]
        )
        for photos in (coloured, true)
    ]
    return float(lengths[0].mean() / lengths[1].mean())


if __name__ == "__main__":
    lesson.run(main, FULL, EXPECTED)
