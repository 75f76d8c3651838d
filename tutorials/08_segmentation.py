"""Segmentation: a class for each pixel, from unpooling to U-Net (lesson 8).

Paper:     Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image
           Segmentation"; Long, Shelhamer, Darrell 2015, "Fully Convolutional Networks for
           Semantic Segmentation"; Badrinarayanan, Kendall, Cipolla 2017, "SegNet".
Lecture:   Advanced vision, slides "Semantic segmentation" to "Case study: U-NET"; ConvNets,
           slides "Pooling and unpooling" and "Strided Convolutions and Deconvolutions".
Needs:     lesson 4.
Run:       python tutorials/08_segmentation.py                      a minute on two cores, offline
           python tutorials/08_segmentation.py --full --data DIR    Cityscapes, on GPUs
Data:      DIR holds Cityscapes as it is published (leftImg8bit/, gtFine/).
Expect:    EXPECTED, below, which the lesson prints beside what it has measured.
Pictures:  out/08_segmentation/, or out/08_segmentation_full/
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from PIL import Image

from keras_vision import arithmetic, augment, lesson, plots, tiles
from keras_vision.classification import resnet
from keras_vision.classification.data import in_turn
from keras_vision.datasets import cityscapes, samples, shapes
from keras_vision.layers import CroppedLike, MaxPoolingWithIndices, MaxUnpooling
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.rows import Rows
from keras_vision.segmentation import evaluate, fcn, losses, metrics, segment, unet
from keras_vision.segmentation.data import (
    crop,
    elastic,
    example,
    from_instances,
    median_frequency,
    resize,
)
from keras_vision.segmentation.evaluate import scores
from keras_vision.segmentation.upsampling import WAYS
from keras_vision.training import BatchData, Evaluator, TrainConfig, launch

EXPECTED = {  # (value, tolerance) of the fast form
    "labels that bilinear resizing invents": (0.0255, 0.001),
    "mean IoU, learned here": (0.37, 0.1),
    "accuracy at edges": (0.862, 0.005),
    "accuracy elsewhere": (0.997, 0.001),
    "mean IoU, all pixels": (0.913, 0.005),
    "mean IoU, edges void": (0.949, 0.005),
    "mean IoU, void a class": (0.699, 0.01),
    "mean IoU, unseen": (0.914, 0.005),
}
FULL = {"epochs": 60, "steps": 370, "rate": 1e-3}
SIZE = 128  # pixels a side of the drawn pictures
NAMES = ("background", *shapes.class_names)
PALETTE = (  # of the background and the six shapes
    (70, 70, 70), (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (240, 200, 60),
)  # fmt: skip


def main(data=None, out="out/08_segmentation", epochs=1, steps=60, rate=1e-2):
    # %% [markdown]
    # ## 1. Task
    # A picture goes in; out comes a *label map* of its height and width, which says of each pixel
    # what it shows. The network's output has a number for each class there, its logit.

    # %%
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    shipped = unet.build(weights="shapes")
    unseen = drawn("val", 60)
    raws = [raw for raw in unseen.as_numpy_iterator() if len(np.unique(raw["label_map"])) > 3][:4]
    photos, truth = ([raw[name] for raw in raws] for name in ("image", "label_map"))
    # [solution: one picture of 128x128 pixels, six shapes and a background: shape of the logits?]
    shape_of_logits = (1, 128, 128, 7)
    # [end]
    hint = "A batch of one, its rows and columns, and a number for each class."
    lesson.check(shape_of_logits, shipped.predict_on_batch(photos[0][None]).shape, hint)
    found = segment(shipped, photos)
    sheet = [photos, list(map(coloured, truth)), list(map(coloured, found))]
    captions = [["picture"] * 4, ["what is there"] * 4, ["what U-Net finds"] * 4]
    plots.show(plots.contact_sheet(sheet, [""] * 4, captions), out / "1_task.png")

    # %% [markdown]
    # ## 2. Loss
    # Cross-entropy, pixel by pixel. What nobody has labelled is *void*, 255 in all datasets here:
    # it costs nothing. What we want in the end is a high IoU of each class: its pixels that are
    # found, over those that are of it or are taken for it. `LovaszSoftmax` is a loss of that.

    # %%
    # [solution: at first all seven classes are as probable: the cross-entropy of a pixel?]
    first_loss = np.log(7)
    # [end]
    flat, labels = np.zeros((1, 1, 4, 7), "float32"), np.array([[[0, 3, 3, 5]]])
    hint = "Minus the logarithm of the probability of the right one."
    lesson.check(first_loss, float(losses.CrossEntropy()(labels, flat)), hint)
    # [solution: the same for four pixels of which two are void: the mean over all of them?]
    half_void = np.log(7) * 2 / 4
    # [end]
    mean = float(losses.CrossEntropy()(np.array([[[0, 3, 255, 255]]]), flat))
    lesson.check(half_void, mean, "Void pixels cost nothing, and the mean counts them.")
    # [solution: 90 pixels of a class, 60 of them found; 30 others are taken for it: its IoU?]
    iou = 60 / (90 + 30)
    # [end]
    counted = metrics.table([[0, 30], [30, 60]])
    lesson.check(iou, counted.loc[1, "iou"], "What is in both, over what is in either.")

    # %% [markdown]
    # ## 3. Architecture
    # Poolings bring together pixels that are far apart, and lose where things are. There are
    # several ways back up. U-Net then joins to the maps that come up those of the same size from
    # the way down: *what* it is from below, *where* it is from the side.

    # %%
    # [solution: the paper pads nothing: 572 pixels a side; how many behind two 3x3?]
    after_two = 572 - 2 - 2
    # [end]
    published = arithmetic.inspect(unet.build(channels=1, filters=1, valid=True), 572)
    sizes = published["output"][published["kind"] == "Conv2D"]
    lesson.check(after_two, sizes.iloc[1][0], "Each leaves out a pixel at either end.")
    # [solution: the maxima of [[1, 3], [2, 0]], pooled to one number, then unpooled by its place?]
    unpooled = [[0, 3], [0, 0]]
    # [end]
    square = np.array([[1, 3], [2, 0]], "float32")[None, ..., None]
    pooled, places = MaxPoolingWithIndices(2)(square)
    back = MaxUnpooling(2)([pooled, places, square])
    lesson.check(unpooled, back[0, ..., 0], "It goes back to where it stood; the rest is zero.")
    # [solution: 16 maps from the side join 16 from below: weights of the 3x3 that makes 16 again?]
    weights_of_joint = 3 * 3 * (16 + 16) * 16
    # [end]
    kernels = [np.size(layer.kernel) for layer in shipped.layers if hasattr(layer, "kernel")]
    hint = "Each kernel has nine places in each of the maps that it sees."
    lesson.check(weights_of_joint, kernels[-3], hint)
    plots.show(plots.mosaic(ways_up(), list(WAYS), columns=5), out / "3_upsampling.png")

    # %% [markdown]
    # ## 4. Optimiser
    # Muon, as in the lessons before, with a rate that rises and falls. Most pixels are background.
    # *Median frequency* weighs each class by the middle one's share of the pixels over its own,
    # each share being of the pictures that show the class.

    # %%
    # [solution: shares of 0.85, 0.2 and 0.1: by what are these three classes weighed?]
    weights = (0.2 / 0.85, 1, 0.2 / 0.1)
    # [end]
    rows = np.array([[[0] * 8 + [1] * 2], [[0] * 9 + [2]]])
    lesson.check(weights, median_frequency(Rows({"label_map": rows}), 3), "Mind the middle one.")
    balance = pd.Series(median_frequency(drawn("train", 60), 7), NAMES)
    print(balance.to_string(float_format="{:.2f}".format))

    # %% [markdown]
    # ## 5. Dataset
    # What moves a picture moves its labels, too. But labels are no brightness: there is nothing
    # between a 3 and a 4. A failure on purpose: label maps resized as if they were photos.

    # %%
    # [solution: a pixel half-way between background and class 7: what does bilinear make of it?]
    between = (0 + 7) / 2
    # [end]
    edge = np.array([[0, 7]], "float32")[None, ..., None]
    made = tf.image.resize(edge, (1, 3), "bilinear")[0, 0, 1, 0]
    lesson.check(between, float(made), "The mean of both, which is no class, or another one.")
    small = (SIZE // 3, SIZE // 3)
    right = [resize(raw, small)["label_map"].numpy() for raw in raws]
    wrong = [as_a_photo(labels, small) for labels in truth]
    invented = np.mean([~np.isin(b, a) for a, b in zip(truth, wrong, strict=True)])
    print(f"{invented:.1%} of the pixels became a class that their picture does not show")
    bent = [elastic(raw, (0, number), deviation=6.0) for number, raw in enumerate(raws)]
    bent = [sketch(raw["image"].numpy(), raw["label_map"].numpy()) for raw in bent]
    sheet = [list(map(coloured, right)), list(map(coloured, wrong)), bent]
    captions = [["nearest"] * 4, ["bilinear"] * 4, ["elastic deformation"] * 4]
    plots.show(plots.contact_sheet(sheet, [""] * 4, captions), out / "5_labels.png")

    # %% [markdown]
    # ## 6. Training
    # The way down of the shipped U-Net, which took minutes to learn, stays as it is; the way up
    # is learned anew, in seconds. The full form also trains a ResNet-50 that dilates its last
    # stages, on Cityscapes.

    # %%
    def trained(folder, build, flow, rows, epochs, weights=None):
        schedule = warmup_cosine(rate, steps * epochs)
        return launch(
            TrainConfig(
                model=partial(compiled, build, schedule, weights),
                dataflow=flow,
                callbacks=[Evaluator(partial(scores, rows=rows))],
                steps_per_epoch=steps,
                max_epoch=epochs,
                log_dir=out / folder,
            )
        )

    shown = unseen.select(slice(30))
    drawing = BatchData(drawn("train"), 8, example=partial(example, classes=7), shuffle=False)
    if data:
        flip = augment.by(keras.layers.RandomFlip("horizontal"))
        cut = in_turn(partial(crop, size=(512, 1024)), flip)
        streets, unseen_streets = (cityscapes.load(split, data) for split in ("train", "val"))
        streets = BatchData(
            streets, 8, example=partial(example, classes=len(cityscapes.class_names)), augment=cut
        )
        trained("fcn", on_resnet, streets, unseen_streets, epochs)
    model = trained("unet", partial(way_up, shipped), drawing, shown, 1, balance.to_numpy() ** 0.5)

    # %% [markdown]
    # ## 7. Validation and tuning
    # All figures follow from one table, the confusion of classes: row i counts the pixels of class
    # i by what they were taken for, over all pictures.

    # %%
    # [solution: 9 of 10 pixels are of one class, which the network sees everywhere: mean IoU?]
    mean_of_nothing = (9 / 10 + 0) / 2
    # [end]
    nothing = metrics.table([[9, 0], [1, 0]])
    hint = "The large class is found, and too much of it; the other has no pixel right."
    lesson.check(mean_of_nothing, nothing.loc["mean", "iou"], hint)
    table = evaluate(model, shown)
    print(table.to_string(float_format="{:.3f}".format))
    print(f"Pixel accuracy {table.attrs['pixel_accuracy']:.3f}")

    # %% [markdown]
    # ## 8. Diagnosis
    # Where is the shipped network wrong? Along the edges, which is why datasets often leave them
    # void. A failure on purpose: void is counted as one more class, which no network ever finds.

    # %%
    rows = list(shown.as_numpy_iterator())
    answers = segment(shipped, [raw["image"] for raw in rows])
    labels, answers = np.stack([raw["label_map"] for raw in rows]), np.stack(answers)
    edge = at_edges(labels)
    right = answers == labels
    print(f"Right: {right[edge].mean():.1%} at edges, {right[~edge].mean():.2%} elsewhere")
    figures = {
        "all pixels": metrics.confusion(labels, answers, 7),
        "edges void": metrics.confusion(np.where(edge, 255, labels), answers, 7),
        "void a class": metrics.confusion(np.where(edge, 7, labels), answers, 8),
    }
    figures = {name: metrics.table(counts).loc["mean", "iou"] for name, counts in figures.items()}
    print(pd.Series(figures, name="mean IoU").to_string(float_format="{:.3f}".format))
    most = np.argsort(-edge.sum(axis=(1, 2)))[:4]
    wrong = [marked(rows[number]["image"], ~right[number]) for number in most]
    sheet = [list(map(coloured, labels[most])), list(map(coloured, answers[most])), wrong]
    captions = [[name] * 4 for name in ("what is there", "what U-Net finds", "what is wrong")]
    plots.show(plots.contact_sheet(sheet, [""] * 4, captions), out / "8_edges.png")

    # %% [markdown]
    # ## 9. Unseen test
    # The shipped network, trained for some minutes, on pictures that nobody has looked at. A
    # picture that is too large for the memory goes through in pieces, each of which is seen with
    # what is around it, so that no seam shows.

    # %%
    last = unseen.select(slice(30, None))
    final = evaluate(shipped, last)
    print(final.to_string(float_format="{:.3f}".format))
    # [solution: pieces of 512 pixels, 96 more on each side are seen: the share that is kept?]
    share_kept = 512**2 / (512 + 2 * 96) ** 2
    # [end]
    kept = tiles.CORE**2 / (tiles.CORE + 2 * tiles.MARGIN) ** 2
    lesson.check(share_kept, kept, "Of areas. Mind that there are two sides.")
    large = np.concatenate([np.concatenate(photos[:2], 1), np.concatenate(photos[2:], 1)])
    large = np.tile(large, (5, 5, 1))
    seen = segment(shipped, large, short=len(large))
    plots.show(plots.labels(large, seen, NAMES, PALETTE), out / "9_pieces.png")
    print(f"The pictures are in {out}")
    return {
        "labels that bilinear resizing invents": invented,
        "mean IoU, learned here": table.loc["mean", "iou"],
        "accuracy at edges": right[edge].mean(),
        "accuracy elsewhere": right[~edge].mean(),
        **{f"mean IoU, {name}": value for name, value in figures.items()},
        "mean IoU, unseen": final.loc["mean", "iou"],
    }


def drawn(split, count=None):
    """`Rows` of pictures of shapes with their label maps, background first."""
    rows = shapes.load(split, SIZE, count)
    return Rows(rows.columns, lambda row: from_instances(rows.read(row)), NAMES)


def coloured(labels):
    """A label map as a picture."""
    return np.array(PALETTE, "uint8")[labels]


def sketch(photo, labels):
    return (0.5 * photo + 0.5 * coloured(labels)).astype("uint8")


def marked(photo, where):
    """A dark photo, with some of its pixels in red."""
    return np.where(where[..., None], (250, 60, 60), photo // 3).astype("uint8")


def as_a_photo(labels, size):
    """The failure: labels are averaged, and rounded to what they are not."""
    resized = tf.image.resize(labels[..., None], size, "bilinear", antialias=True)
    return np.rint(resized[..., 0]).astype(int)


def ways_up():
    """What each of the ways makes of the maxima of a small photo, 16x16 pixels of it."""
    photo = Image.fromarray(samples.photos()["cat"]).convert("L").crop((100, 90, 260, 250))
    photo = np.asarray(photo.resize((32, 32)), "float32")
    image = keras.Input((None, None, 1))
    pooled, places = MaxPoolingWithIndices(2)(image)
    ups = [up(pooled, (image, places)) for up in WAYS.values()]
    return np.stack(
        [picture[0, ..., 0] for picture in keras.Model(image, ups)(photo[None, ..., None])]
    )


def way_up(known):
    """What U-Net knows of the way down, frozen, and a new way up."""
    finer = [x.input for x in known.layers if isinstance(x, keras.layers.MaxPooling2D)]
    ups = [x.input for x in known.layers if isinstance(x, keras.layers.Conv2DTranspose)]
    encoder = keras.models.clone_model(keras.Model(known.input, [*finer, ups[0]]))
    encoder.set_weights(keras.Model(known.input, [*finer, ups[0]]).get_weights())
    encoder.trainable = False
    image = keras.Input((None, None, 3))
    *finer, below = encoder(image)
    x = CroppedLike()([unet.up(below, finer, norm=True), image])  # it padded them to multiples
    return keras.Model(
        image, keras.layers.Conv2D(len(NAMES), 1, dtype="float32", name="logits")(x)
    )


def on_resnet():
    backbone = resnet.backbone(50, weights="imagenet", stride=8)
    return fcn.build(len(cityscapes.class_names), backbone=backbone)


def compiled(build, schedule, weights=None):
    model = build()
    optimizer = Muon(
        schedule, weight_decay=0.01, exclude_layers=["^conv1/", "logits", "classifier.4"]
    )
    model.compile(optimizer, losses.CrossEntropy(weights), jit_compile=False)
    return model


def at_edges(labels):
    """Which pixels of label maps (N, H, W) are next to one of another class."""
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[..., 1:] |= labels[..., 1:] != labels[..., :-1]
    edge[..., :-1] |= labels[..., 1:] != labels[..., :-1]
    return edge


if __name__ == "__main__":
    lesson.run(main, FULL, EXPECTED)
