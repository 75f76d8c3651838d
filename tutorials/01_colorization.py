"""Colourisation: learn colours without a single label (lesson 1).

Paper:     Zhang, Isola, Efros, "Colorful Image Colorization", ECCV 2016.
Lecture:   ConvNets tutorial, slides "Define task: Image colourisation" to "Tracking emerges by
           colorizing videos".
Needs:     convolutions, softmax and cross-entropy, gradient descent.
Run:       python tutorials/01_colorization.py                       a minute on two cores, offline
           python tutorials/01_colorization.py --full --data DIR     all of Tiny ImageNet, on GPUs
Expect:    a first loss of 5.7 (+- 0.5); the L2 network's colours at 0.2 to 0.75 of the true
           chroma, the rebalanced network's at 0.5 to 1.6 on the built-in photos.
Pictures:  out/01_colorization/
"""

import argparse
import logging
import os
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is imported

import keras
import numpy as np
import pandas as pd

from keras_vision import colorization, pipeline, plots
from keras_vision.colorization import bins, data
from keras_vision.colorization.color import lab_to_rgb, rgb_to_lab
from keras_vision.datasets import samples, tiny_imagenet
from keras_vision.training import BatchData, InferenceRunner, PictureWriter, TrainConfig, launch

# Photos of several sizes compile the network anew, of which TensorFlow warns.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


def main(root=None, full=False, epochs=16, width=1 / 8, rate=2e-3, out="out/01_colorization"):
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
    lightness, ab = data.pair({"image": photo})
    # [solution: the photo is (320, 480, 3): what are the shapes of L and of ab?]
    predicted_shapes = (320, 480, 1), (320, 480, 2)
    # [end]
    assert predicted_shapes == (lightness.shape, ab.shape), "L has one channel, ab has two"
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
    l2 = colorization.L2()
    balloons = np.stack([red, green])[:, None, None]
    at_best = float(l2(balloons, np.broadcast_to(best_for_l2, balloons.shape)))
    around = [best_for_l2 + step for step in ((5, 0), (-5, 0), (0, 5), (0, -5))]
    worse = [float(l2(balloons, np.broadcast_to(point, balloons.shape))) for point in around]
    assert at_best < min(worse), "move towards the middle of the two colours"
    print(f"L2's best answer to a red or green balloon: a = {best_for_l2[0]:.0f}, hardly a colour")

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
    assert np.isclose(cross_entropy(balloons, uniform), first_loss, rtol=1e-4), "-log(1 / 313)"

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
    assert full_model.get_layer("conv1_1").count_params() == weights_of_first, "9 weights + 1 bias"
    # [solution: three stages of stride 2, then one of stride 1/2: the logits' shape at 64x64?]
    logits_shape = (1, 16, 16, 313)
    # [end]
    assert full_model(np.zeros((1, 64, 64, 1))).shape == logits_shape, "64 / 8 * 2 cells a side"
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
    if full:
        photos_of = {split: tiny_imagenet.load(split, root, seed=0) for split in ("train", "val")}
    else:
        photos_of = {split: samples.load(split) for split in ("train", "val")}
    train, validation = photos_of["train"], photos_of["val"]
    prior = bins.estimate_prior(pipeline.batches(train, data.pair, 64))
    # [solution: rare colours shall count more: what weighs the bins, given their prior?]
    weights = bins.rarity(prior)
    # [end]
    assert np.isclose(prior @ weights, 1, rtol=1e-3), "the mean weight of a pixel is 1"
    grey_bin = np.abs(bins.CENTERS).sum(1).argmin()
    assert weights[grey_bin] == weights.min(), "grey is common, and counts least"
    light = np.concatenate([np.full((313, 1), 70), bins.CENTERS], axis=1)
    bin_colours = np.asarray(lab_to_rgb(light))
    plots.show(plots.colour_plane(bins.CENTERS, bin_colours, 8 * weights), out / "5_rarity.png")

    # %% [markdown]
    # ## 6. Training
    # Both twins for as many steps. Run the lesson again and it goes on where it was.

    # %%
    dataflow = BatchData(train, 32, example=data.pair, augment=data.zoom, shuffle=4096)
    # [solution: full batches only: how many steps has an epoch of len(train) photos?]
    predicted_steps = len(train) // 32
    # [end]
    assert predicted_steps == len(dataflow), "what does not fill a batch sits out the epoch"
    losses = {"l2": colorization.L2(), "rebalanced": colorization.RebalancedCrossEntropy(prior)}
    shown = np.stack([raw["image"] for raw in validation.shuffle(1000, 0).take(8)])
    models = {}
    for name, loss in losses.items():
        config = TrainConfig(
            model=partial(compiled, loss),
            dataflow=dataflow,
            callbacks=[
                InferenceRunner(BatchData(validation, 32, remainder=True, example=data.pair)),
                PictureWriter(partial(colorization.comparison, photos=shown)),
            ],
            steps_per_epoch=len(dataflow),
            max_epoch=epochs,
            log_dir=out / name,
        )
        models[name] = launch(config)

    # %% [markdown]
    # ## 7. Validation and tuning
    # The curves tell fast from slow and learning from memorising; six photos are soon memorised.
    # The networks that come with this package had 20,000 photos: from here on, the fast form
    # uses them.

    # %%
    history = pd.read_csv(out / "rebalanced" / "history.csv")
    lines = {"training": history["loss"], "validation": history["validation_loss"]}
    plots.show(plots.curves(lines, "epoch", "loss", x=history["epoch"]), out / "7_curves.png")
    if not full:
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
    assert chroma["l2"] < chroma["rebalanced"], "the mean of many colours is greyish"
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
    return {"first_loss": first_loss, "chroma": chroma, "history": history}


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="train on all of Tiny ImageNet")
    parser.add_argument("--data", help="the folder tiny-imagenet-200")
    parser.add_argument("--out", default="out/01_colorization", help="folder of the pictures")
    args = parser.parse_args()
    if args.full:
        main(args.data, full=True, epochs=30, width=1.0, rate=3e-4, out=args.out)
    else:
        main(out=args.out)
