"""Detection: boxes, anchors, RetinaNet and the focal loss (lesson 6).

Paper:     Lin, Goyal, Girshick, He, Dollar 2017, "Focal Loss for Dense Object Detection"; Lin et
           al. 2017, "Feature Pyramid Networks for Object Detection".
Lecture:   Advanced vision, slides "Object detection" to "Case study 2: RetinaNet"; ConvNets,
           slides "Classification + Localization", "Sliding window" and "Evaluation".
Needs:     lesson 4.
Run:       python tutorials/06_detection.py                      a minute on two cores, offline
           python tutorials/06_detection.py --full --data DIR    COCO 2017, on GPUs
           Both need COCO's evaluator: pip install "keras_vision[detection]"
Data:      DIR holds COCO 2017 as it is published (annotations/, train2017/, val2017/);
           python scripts/download_coco.py fetches it.
Expect:    EXPECTED, below, which the lesson prints beside what it has measured.
Pictures:  out/06_detection/, or out/06_detection_full/
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import time
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure

from keras_vision import arithmetic, boxes, lesson, plots
from keras_vision.classification import resnet
from keras_vision.datasets import coco, shapes
from keras_vision.detection import anchors, detect, retinanet, targets
from keras_vision.detection.data import example
from keras_vision.detection.evaluate import detected, scores
from keras_vision.detection.losses import FocalLoss, SmoothL1
from keras_vision.detection.metrics import (
    average_precision,
    precision_recall,
    precision_recall_figure,
)
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.pipeline import batches
from keras_vision.rows import Rows
from keras_vision.training import BatchData, Evaluator, TrainConfig, launch

EXPECTED = {  # (value, tolerance) of the fast form
    "first loss, prior and focal loss": (1.129, 0.01),
    "first loss, neither": (412.7, 5),
    "AP, heads learned here": (0.22, 0.1),
    "AP, no prior, no focal loss": (0.0, 0.02),
    "easy background in cross-entropy": (0.93, 0.02),
    "easy background in focal loss": (0.004, 0.004),
    "AP, one object, localised": (0.11, 0.06),
    "AP, sliding window": (0.045, 0.03),
    "AP, sliding window, localised": (0.065, 0.04),
    "AP, RetinaNet": (0.82, 0.04),
}
FULL = {"epochs": 10, "steps": 9000, "rate": 1e-3}


def main(data=None, out="out/06_detection", epochs=1, steps=36, rate=3e-3):
    # %% [markdown]
    # ## 1. Task
    # A picture goes in; out come boxes, each with a class and how sure the network is of it. How
    # many there are differs from picture to picture, but the network's outputs have one shape:
    # it speaks of each of its *anchors*, boxes that stand everywhere on the picture.

    # %%
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    shipped = retinanet.build(weights="shapes")
    world = shapes.load("val", count=70)
    raws = [raw for raw in world.as_numpy_iterator() if len(raw["labels"]) > 3][:4]
    photos = [raw["image"] for raw in raws]
    # [solution: nine anchors at each place of maps with sides of 32, 16, 8, 4 and 2: how many?]
    count_of_anchors = 9 * (32**2 + 16**2 + 8**2 + 4**2 + 2**2)
    # [end]
    outputs = shipped.predict_on_batch(photos[0][None])
    hint = "Add up the places of five square maps; the same nine stand at each."
    lesson.check(count_of_anchors, outputs["classes"].shape[1], hint)
    # [solution: one picture, six classes: the shapes of its class logits, and of its boxes?]
    shapes_of_outputs = ((1, count_of_anchors, 6), (1, count_of_anchors, 4))
    # [end]
    hint = "A batch, its anchors, and what is said of each: see the head of `retinanet.build`."
    lesson.check(shapes_of_outputs, [outputs[name].shape for name in ("classes", "boxes")], hint)
    found = detect(shipped, photos)
    sheet = [list(map(sketch, photos, raws)), list(map(sketch, photos, found))]
    titles = [f"{len(raw['labels'])} shapes" for raw in raws]
    captions = [["what is there"] * 4, ["what RetinaNet finds"] * 4]
    plots.show(plots.contact_sheet(sheet, titles, captions), out / "1_task.png")

    # %% [markdown]
    # ## 2. Loss
    # Whether two boxes are the same object is told by IoU: their common area over that of both.
    # For each anchor and class the network gives a probability. Cross-entropy costs -log(p), p
    # being that of the right answer; focal loss weighs it by (1 - p)^2, so that what is easy
    # hardly counts (eq. 4 of the paper).

    # %%
    # [solution: two squares with sides of 4, one two pixels right of and below the other: IoU?]
    overlap = (2 * 2) / (4 * 4 + 4 * 4 - 2 * 2)
    # [end]
    pair = np.array([[0, 0, 4, 4], [2, 2, 6, 6]], "float32")
    hint = "The common part is in both areas, once too often."
    lesson.check(overlap, float(boxes.iou(*pair)), hint)
    # [solution: background that gets 0.01 for an object: what share of its cross-entropy is left?]
    share_of_easy = 0.01**2
    # [end]
    p = np.float32([[0.01]])
    logit = np.log(p / (1 - p))[None]
    nothing = np.array([[targets.BACKGROUND]])
    focal, plain = (float(FocalLoss(None, gamma)(nothing, logit)) for gamma in (2, 0))
    hint = "The right answer gets all but that. Mind the square."
    lesson.check(share_of_easy, focal / plain, hint)
    p = np.linspace(0.005, 1, 200)
    lines = {f"gamma = {gamma}": (1 - p) ** gamma * -np.log(p) for gamma in (0, 0.5, 2, 5)}
    figure = plots.curves(lines, "probability of the right answer", "loss", x=p)
    plots.show(figure, out / "2_focal.png")

    # %% [markdown]
    # ## 3. Architecture
    # ResNet's maps of stride 8, 16 and 32, and two coarser ones; a path from the top down that
    # brings to the fine maps what the coarse ones understand; two heads of five convolutions that
    # all maps share. Each map has anchors of its own size.

    # %%
    table = arithmetic.totals(arithmetic.inspect(shipped))
    print(f"{table['parameters']:,} parameters, {table['macs'] / 1e9:.2f} billion multiply-adds")
    # [solution: 64 filters, 3x3 windows, nine anchors of six classes: weights of the last layer?]
    weights_of_last = 3 * 3 * 64 * 9 * 6
    # [end]
    last = shipped.get_layer("classification_head").get_layer(retinanet.CLASSES)
    hint = "Without biases: a window for each answer at a place."
    lesson.check(weights_of_last, np.size(last.kernel), hint)
    levels = [of_the_middle(places) for places in anchors.levels(256, 256)[:3]]
    strides = [f"P{number}, stride {2**number}" for number in (3, 4, 5)]
    sheet = [[sketch(photos[1], level) for level in levels]]
    plots.show(plots.contact_sheet(sheet, strides), out / "3_anchors.png")

    # %% [markdown]
    # ## 4. Optimiser
    # Of 12,276 anchors a hundred show an object. A network that starts at p = 1/2 everywhere pays
    # for all the others first. So the bias of the class head is set such that each class has a
    # *prior* of 0.01 (section 4.1 of the paper). What does the first step cost?

    # %%
    if data:
        train, validation = (coco.load(split, data) for split in ("train", "val"))
        size, known = (640, 640), None
    else:
        train, validation = shapes.load("train"), world.select(slice(40))
        size, known = (256, 256), shipped
    classes = len(train.class_names)
    _, y, weight = example(raws[0], (256, 256), classes=6)
    objects = int(np.sum(y["classes"] != targets.BACKGROUND))
    learning = int(np.sum(weight["classes"] > 0))
    print(f"{learning:,} anchors learn, {objects} of them stand for an object")
    flat = partial(first_loss, y["classes"], weight["classes"])
    # [solution: cross-entropy of six classes, each of them at p = 1/2: what does an anchor cost?]
    cost_of_anchor = 6 * np.log(2)
    # [end]
    without_prior = flat(FocalLoss(None, 0), 0.5)
    hint = "Each answer costs the same, minus the logarithm of a half."
    lesson.check(cost_of_anchor, without_prior * objects / learning, hint)
    # [solution: p = 0.01 and focal loss, alpha 0.25: the background is free; one object costs?]
    with_prior = 0.25 * (1 - 0.01) ** 2 * -np.log(0.01)
    # [end]
    hint = "Of an object, the right answer gets 0.01 only: focal loss of that, times alpha."
    lesson.check(with_prior, flat(FocalLoss(), 0.01), hint)
    # Each object's anchors pay for the background's: the sum is divided by their number.
    print(f"The first loss: {without_prior:,.0f}; with prior and focal loss {with_prior:.2f}")

    # %% [markdown]
    # ## 5. Dataset
    # `targets.assign` tells each anchor what to learn by its IoU with the objects: from 0.5 on it
    # is one, below 0.4 background. The best anchor of an object stands for it in any case.

    # %%
    # [solution: anchors with an IoU of 0.7, 0.45 and 0.2 with an object: which learn anything?]
    which_learn = (True, False, True)
    # [end]
    box, heights = np.float32([[0, 0, 100, 100]]), np.float32([100, 70, 45, 20])
    placed = np.stack([0 * heights, 0 * heights, 0 * heights + 100, heights], axis=-1)
    no_crowd = np.array([False])
    _, weights = targets.assign(placed, box, np.array([3]), no_crowd, (100, 100))
    lesson.check(which_learn, weights["classes"][1:] > 0, "It is neither the one nor the other.")
    sheet = [[sketch(raw["image"], assigned(raw)) for raw in raws]]
    captions = [[f"{len(assigned(raw)['labels'])} anchors" for raw in raws]]
    plots.show(plots.contact_sheet(sheet, titles, captions), out / "5_targets.png")

    # %% [markdown]
    # ## 6. Training
    # The fast form takes over what the shipped network has learned of shapes, as detectors do
    # from ImageNet, and learns its two heads anew; the full form learns all of a RetinaNet on
    # ResNet-50. After each epoch `Evaluator` measures the average precision.

    # %%
    measure = Evaluator(partial(scores, rows=validation))
    prepared = partial(example, size=size, classes=classes)
    flow = BatchData(train, 8, example=prepared, shuffle=data is not None)

    def trained(folder, prior, class_loss, until):
        built = partial(detector, known, classes, size, prior)
        schedule = warmup_cosine(rate, steps * epochs)
        return launch(
            TrainConfig(
                model=partial(compiled, built, schedule, class_loss),
                dataflow=flow,
                callbacks=[measure],
                steps_per_epoch=steps,
                max_epoch=until,
                log_dir=out / folder,
            )
        )

    model = trained("focal", 0.01, FocalLoss(), epochs)

    # %% [markdown]
    # ## 7. Validation and tuning
    # Average precision is the area under the curve of precision over recall, the mean over
    # classes and over the IoUs from which on a box is right: 0.5, 0.55 ... 0.95.

    # %%
    found, truth = detected(model, validation)
    table = average_precision(found, truth, train.class_names)
    print(table.to_string(float_format="{:.3f}".format))
    curves = precision_recall(found, truth, train.class_names)
    plots.show(precision_recall_figure(curves), out / "7_precision.png")

    # %% [markdown]
    # ## 8. Diagnosis
    # A failure on purpose: no prior, and no focal loss. Nothing else differs, for an epoch. Then,
    # of a trained network: what part of the loss is caused by objects, by background that it
    # takes for an object, and by background that it knows?

    # %%
    with lesson.printed_to(out / "plain.log"):
        trained("plain", 0.5, FocalLoss(None, 0), 1)
    histories = {name: pd.read_csv(out / name / "history.csv") for name in ("focal", "plain")}
    precision = {name: history["AP"].iloc[0] for name, history in histories.items()}
    print(f"AP {precision['focal']:.3f}; {precision['plain']:.3f} without prior and focal loss")
    prepared = partial(example, size=(256, 256), classes=6)
    (batch,) = batches(world.select(slice(16)), prepared, 16)
    fresh = detector(shipped, 6, (256, 256), prior=0.01)
    parts = {
        f"{name}, {when}": shares(net, batch, loss)
        for name, loss in (("cross-entropy", FocalLoss(None, 0)), ("focal loss", FocalLoss()))
        for when, net in (("at first", fresh), ("trained", shipped))
    }
    parts = pd.DataFrame(parts).T
    print(parts.to_string(float_format="{:.1%}".format))
    plots.show(stacked(parts, "share of the loss of classes"), out / "8_easy.png")

    # %% [markdown]
    # ## 9. Unseen test
    # The road that led here, on pictures that nobody has looked at. *Classification and
    # localisation* answers with one class and one box (softmax and L2), which does as long as
    # there is one object: it is measured on crops of single ones. *Sliding window* asks it what
    # each of hundreds of windows shows, and takes the window, or the box that it says, for the
    # object's. It stands on the shipped network's backbone.

    # %%
    backbone = backbone_of(shipped)
    pictures = shapes.load("train", count=256)
    flow = BatchData(learned_windows(backbone, pictures), 128, example=as_learned)
    with lesson.printed_to(out / "windows.log"):
        head = launch(
            TrainConfig(
                model=localizer,
                dataflow=flow,
                steps_per_epoch=500,
                max_epoch=1,
                log_dir=out / "windows",
            )
        )
    # [solution: of windows of 64 pixels, one every 32 pixels, how many lie in 256x256?]
    windows_of_64 = ((256 - 64) // 32 + 1) ** 2
    # [end]
    sides = WINDOWS[:, 2] - WINDOWS[:, 0]
    hint = "How many of them stand side by side, the first at the edge? And how many rows?"
    lesson.check(windows_of_64, (sides == 64).sum(), hint)
    window = keras.Input((SEEN, SEEN, 3))
    model = keras.Model(window, head(backbone(window)["c4"]))
    whole = np.float32([[0, 0, SEEN, SEEN]])
    one, many = (partial(in_windows, model, windows) for windows in (whole, WINDOWS))
    unseen = list(world.select(slice(40, None)).as_numpy_iterator())
    crops = [crop for raw in unseen for crop in crops_of(raw)]
    roads = {
        "one object, localised": (one, crops, 1),
        "sliding window": (partial(many, moved=False), unseen, len(WINDOWS)),
        "sliding window, localised": (many, unseen, len(WINDOWS)),
        "RetinaNet": (partial(detect, shipped, score=0.05), unseen, 1),
    }
    table = pd.DataFrame(
        {name: [*measured(road, raws), passes] for name, (road, raws, passes) in roads.items()},
        ["AP", "AP50", "ms a picture", "forward passes"],
    ).T
    print(table.to_string(float_format="{:.3g}".format))
    del roads["one object, localised"]
    sheet = [[sketch(rgb, sure(road(rgb))) for rgb in photos] for road, _, _ in roads.values()]
    captions = [[name] * 4 for name in roads]
    plots.show(plots.contact_sheet(sheet, titles, captions), out / "9_roads.png")
    easy = parts["easy background"]
    print(f"The pictures are in {out}")
    return {
        "first loss, prior and focal loss": flat(FocalLoss(), 0.01),
        "first loss, neither": without_prior,
        "AP, heads learned here": precision["focal"],
        "AP, no prior, no focal loss": precision["plain"],
        "easy background in cross-entropy": easy["cross-entropy, at first"],
        "easy background in focal loss": easy["focal loss, at first"],
        **{f"AP, {name}": precision for name, precision in table["AP"].items()},
    }


def sketch(photo, found):
    """A photo with the boxes of some of its anchors or objects, as pixels."""
    return plots.pixels(plots.boxes(photo, found, found.get("names", shapes.class_names)))


def of_the_middle(places):
    """The nine anchors of a square map's middle, as if they had been found."""
    side = int((len(places) // anchors.PER_PLACE) ** 0.5)
    first = (side // 2 * side + side // 2) * anchors.PER_PLACE
    nine = places[first : first + anchors.PER_PLACE]
    return {"boxes": nine, "labels": range(9), "names": [""] * 9}


def assigned(raw):
    """The anchors that learn of an object in a picture."""
    _, y, _ = example(raw, (256, 256), classes=6)
    chosen = np.flatnonzero(y["classes"] != targets.BACKGROUND)
    boxes = anchors.grid(256, 256)[chosen]
    return {"boxes": boxes, "labels": y["classes"].numpy()[chosen], "names": [""] * 6}


def first_loss(classes, weights, loss, p):
    """What a network costs that gives each class the probability p in each anchor."""
    logits = np.full((1, len(classes), 6), np.log(p / (1 - p)), "float32")
    return float(loss(classes[None], logits, sample_weight=weights[None]))


def backbone_of(known):
    """A trained detector's backbone, to stand on: it learns no more."""
    backbone = resnet.backbone(18, width=1 / 4)
    backbone.set_weights(known.get_layer(backbone.name).get_weights())
    backbone.trainable = False
    return backbone


def detector(known, classes, size, prior):
    """A RetinaNet on ResNet-50, or what is `known` with new heads."""
    if known is None:
        backbone = resnet.backbone(50, weights="imagenet")
        return retinanet.build(backbone, classes, size=size, prior=prior)
    model = retinanet.build(backbone_of(known), classes, filters=64, size=size, prior=prior)
    for layer in known.layers:
        if layer.name.startswith("fpn"):
            model.get_layer(layer.name).set_weights(layer.get_weights())
            model.get_layer(layer.name).trainable = False
    return model


def compiled(build, schedule, class_loss):
    model = build()
    ends = ["^conv1/", "cls_logits", "bbox_reg"]  # Muon is for what lies between
    optimizer = Muon(schedule, weight_decay=0.01, exclude_layers=ends)
    model.compile(optimizer, {"classes": class_loss, "boxes": SmoothL1()}, jit_compile=False)
    return model


def shares(model, batch, loss):
    """What objects, hard and easy background cause of a loss; hard is what gets 0.5 or more."""
    pictures, y, weights = batch
    logits = model.predict_on_batch(pictures)["classes"]
    costs = np.asarray(loss.call(y["classes"], logits) * weights["classes"])
    objects, sure = y["classes"].numpy() != targets.BACKGROUND, logits.max(-1) < 0
    kinds = {
        "objects": objects,
        "hard background": ~objects & ~sure,
        "easy background": ~objects & sure,
    }
    return {name: costs[kind].sum() / costs.sum() for name, kind in kinds.items()}


def stacked(table, label):
    """A bar for each row of shares, the first on top."""
    figure = Figure(figsize=(6.5, 0.9 + 0.4 * len(table)), dpi=150, layout="constrained")
    axis = figure.subplots()
    table.plot.barh(
        stacked=True, ax=axis, color=["tab:green", "tab:orange", "lightgrey"], width=0.7
    )
    axis.invert_yaxis()
    axis.set(xlabel=label, xlim=(0, 1))
    axis.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def windows(sides, step=0.5):
    """Windows (N, 4) that slide over a picture by a share of their sides."""
    rows = []
    for side in sides:
        starts = np.arange(0, 256 - side + 1, int(step * side))
        x, y = (grid.ravel() for grid in np.meshgrid(starts, starts))
        rows.append(np.stack([x, y, x + side, y + side], axis=-1))
    return np.concatenate(rows).astype("float32")


WINDOWS = windows((32, 64, 128))
SEEN = 64  # pixels a side of a window as the classifier sees it


def cropped(photo, boxes):
    """What windows (N, 4) of a picture show, float32 (N, SEEN, SEEN, 3)."""
    height, width, _ = photo.shape
    shares = tf.gather(boxes / np.float32([width, height, width, height]), [1, 0, 3, 2], axis=1)
    which = tf.zeros_like(boxes[:, 0], tf.int32)
    return tf.image.crop_and_resize(photo[None], shares, which, (SEEN, SEEN))


def sixteen(raw):
    """Windows of a picture, their classes, and where in each its object is, in sides of it.

    Half a dozen show objects, the others none, which is class 6, where no box is learned.
    """
    no_crowd = tf.zeros_like(raw["labels"], tf.bool)
    y, weight = targets.assign(WINDOWS, raw["boxes"], raw["labels"], no_crowd, (256, 256))
    is_object = tf.cast(weight["boxes"] > 0, tf.float32)
    learns = tf.cast(weight["classes"] > 0, tf.float32)
    seed = 0, tf.cast(tf.reduce_sum(raw["boxes"]), tf.int32)  # another for each picture
    order = learns * (1 + is_object) + tf.random.stateless_uniform((len(WINDOWS),), seed)
    _, chosen = tf.math.top_k(order, 16)
    classes = tf.where(is_object > 0, y["classes"], 6)
    objects = boxes.decode(y["boxes"], WINDOWS)
    within = (objects - corner(WINDOWS)) / sides_of(WINDOWS)
    columns = {"class": classes, "box": within}
    columns = {name: tf.gather(column, chosen) for name, column in columns.items()}
    return {**columns, "window": cropped(raw["image"], tf.gather(WINDOWS, chosen))}


def corner(windows):
    return windows[:, [0, 1, 0, 1]]


def sides_of(windows):
    return windows[:, 2:3] - windows[:, :1]


def learned_windows(backbone, rows):
    """`Rows` of windows as the backbone sees them. It does not learn: each is looked at once."""
    parts = list(batches(rows, sixteen, 8))
    columns = {
        name: np.concatenate(
            [part[name].numpy().reshape(-1, *part[name].shape[2:]) for part in parts]
        )
        for name in parts[0]
    }
    c4 = keras.Model(backbone.input, backbone.output["c4"])
    columns["c4"] = c4.predict(columns.pop("window"), batch_size=128, verbose=0)
    return Rows(columns, lambda row: row)


def as_learned(row):
    """(map, y, weights): of background there is no box to learn."""
    is_object = tf.cast(row["class"] < 6, tf.float32)
    y = {"classes": row["class"], "box": row["box"]}
    return row["c4"], y, {"classes": 1.0, "box": is_object}


def localizer():
    """Slide "Classification + Localization": from one vector class scores, and a box by L2."""
    c4 = keras.Input((SEEN // 16, SEEN // 16, 64))
    x = keras.layers.Flatten()(keras.layers.BatchNormalization()(c4))
    x = keras.layers.Dense(256, "relu")(keras.layers.Dropout(0.3)(x))
    model = keras.Model(c4, {"classes": keras.layers.Dense(7)(x), "box": keras.layers.Dense(4)(x)})
    softmax = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 500)
    losses = {"classes": softmax, "box": "mse"}
    model.compile(
        keras.optimizers.Adam(rate), losses, {"classes": 1, "box": 10}, jit_compile=False
    )
    return model


def in_windows(model, windows, photo, moved=True):
    """The objects that a window shows, for each window of a picture, as `detect` has them.

    moved: whether the object is where the network says, or just in the window.
    """
    outputs = model.predict_on_batch(cropped(photo, windows))
    probability = keras.ops.convert_to_numpy(keras.ops.softmax(outputs["classes"]))[:, :6]
    scores, labels = probability.max(-1), probability.argmax(-1)
    places = windows
    if moved:
        corners = np.sort(outputs["box"].reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        places = corner(windows) + sides_of(windows) * corners
    kept, count = boxes.nms(places, scores, 0.5 if moved else 0.3, labels, 100)
    kept = keras.ops.convert_to_numpy(kept)[: int(count)]
    kept = kept[scores[kept] > 0.05]
    return {"boxes": places[kept], "labels": labels[kept], "scores": scores[kept]}


def crops_of(raw):
    """Small pictures, each of one of the objects: of the windows that fit it best."""
    overlaps = boxes.iou(raw["boxes"][:, None], WINDOWS).numpy()
    for box, label, row in zip(raw["boxes"], raw["labels"], overlaps, strict=True):
        window = WINDOWS[row.argmax()][None]
        if row.max() > 0.5:
            image = cropped(raw["image"], window)[0].numpy().astype("uint8")
            place = SEEN * (box - corner(window)) / sides_of(window)
            yield {"image": image, "boxes": place.clip(0, SEEN), "labels": label[None]}


def measured(road, raws):
    """AP, AP50, and the milliseconds for a picture of a way to find objects."""
    found, times = [], []
    for raw in raws:
        began = time.perf_counter()
        found.append(road(raw["image"]))
        times.append(1e3 * (time.perf_counter() - began))
    table = average_precision(found, raws, shapes.class_names)
    return *table.loc["all", ["AP", "AP50"]], np.median(times)


def sure(found):
    """What is more probable than not."""
    kept = found["scores"] > 0.5
    return {name: part[kept] for name, part in found.items()}


if __name__ == "__main__":
    lesson.run(main, FULL, EXPECTED)
