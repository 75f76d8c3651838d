"""Times RetinaNet and what it is made of against its peers; prints a table.

python scripts/bench_detection.py --out docs/detection.csv
python scripts/bench_detection.py --quick

The peers are KerasHub's RetinaNet and its layers, torchvision's modules in PyTorch, as far as they
need no compiled ops of its own, and pycocotools. The contestants take turns, each of which is a
new process with all cores; of the peers' variants the fastest counts, and ratio > 1 says that ours
is faster. A step of the measures is all of their pictures.
Needs `pip install -e ".[bench,detection]" torchvision keras-hub pycocotools`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import io
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import bench
import numpy as np
from bench import CORES

CLASSES, OBJECTS, BATCH = 80, 20, 2
LAYOUTS = "contiguous_format", "channels_last"


def works(pictures):
    """(name, precision, pictures of a step, {row: ours}, {variant: peer}) of all comparisons."""
    name = "decode + NMS, 100,000 anchors, 80 classes"
    yield name, "float32", 1, {"": decode_ours}, {"KerasHub": decode_hub}
    peers = {"torchvision": assign_torch, "KerasHub": assign_hub}
    yield "targets, 100,000 anchors, 20 objects", "float32", 1, {"": assign_ours}, peers
    yield "anchors, 100,000", "float32", 1, {"": anchors_ours}, {"torchvision": anchors_torch}
    peers = {f"torchvision, {layout}": partial(train_torch, layout) for layout in LAYOUTS}
    peers["KerasHub"] = train_hub
    yield "RetinaNet-R50 training step, batch 2", "float32", BATCH, {"": train_ours}, peers
    ours = {"": partial(infer_ours, False), " with XLA": partial(infer_ours, True)}
    peers = {f"torchvision, {layout}": partial(infer_torch, layout) for layout in LAYOUTS}
    peers |= {"KerasHub": partial(infer_hub, False), "KerasHub, XLA": partial(infer_hub, True)}
    yield "RetinaNet-R50 inference, batch 1", "float32", 1, ours, peers
    name = f"AP of {pictures:,} pictures"
    yield name, "float64", pictures, {"": measure_ours}, {"pycocotools": measure_theirs}


def random_boxes(random, count, height, width):
    """Boxes (count, 4) of 16 to 256 pixels a side."""
    sides = 16 * 16 ** random.uniform(size=(count, 2))
    sides = np.minimum(sides, [width / 2, height / 2])
    corner = random.uniform(size=(count, 2)) * ([width, height] - sides)
    return np.concatenate([corner, corner + sides], axis=1).astype("float32")


def shared_inputs(canvas, side, pictures):
    """What the contestants compute on."""
    random = np.random.default_rng(0)
    boxes = random_boxes(random, OBJECTS, *canvas)
    return {
        "canvas": canvas,
        "boxes": boxes,
        "labels": random.integers(0, CLASSES, OBJECTS).astype("int32"),
        "images": random.integers(0, 256, (BATCH, side, side, 3)).astype("float32"),
        "many": np.stack([random_boxes(random, OBJECTS, side, side) for _ in range(BATCH)]),
        "pictures": pictures,
    }


def answers(inputs):
    """A network's outputs for a canvas, as if it had found the objects: {"classes", "boxes"}."""
    from keras_vision.detection import anchors, targets

    random, canvas = np.random.default_rng(1), inputs["canvas"]
    grid, no_crowd = anchors.grid(*canvas), np.zeros(OBJECTS, bool)
    y, _ = targets.assign(grid, inputs["boxes"], inputs["labels"], no_crowd, canvas)
    logits = random.normal(-6, 1, (len(grid), CLASSES)).astype("float32")
    classes, deltas = (np.asarray(y[name]) for name in ("classes", "boxes"))
    chosen = np.flatnonzero(classes >= 0)
    logits[chosen, classes[chosen]] += random.uniform(4, 10, len(chosen))
    return {"classes": logits, "boxes": deltas + random.normal(0, 0.1, deltas.shape)}


def decode_ours(inputs):
    import tensorflow as tf

    from keras_vision.detection import decode

    outputs = {name: tf.constant(x, "float32") for name, x in answers(inputs).items()}
    canvas = inputs["canvas"]
    return lambda: decode.detections(outputs, canvas, canvas, 0.05, 300)


def decode_hub(inputs):
    import keras
    import keras_hub
    import tensorflow as tf

    from keras_vision.detection import anchors

    outputs = {name: tf.constant(x[None], "float32") for name, x in answers(inputs).items()}
    grid = tf.constant(anchors.grid(*inputs["canvas"]))
    layer = keras_hub.layers.NonMaxSuppression(
        "xyxy", from_logits=True, confidence_threshold=0.05, max_detections=300
    )
    to_boxes = partial(
        keras.utils.bounding_boxes.decode_deltas_to_boxes,
        anchor_format="xyxy",
        box_format="xyxy",
        encoded_format="center_xywh",
    )

    def step():
        boxes = to_boxes(anchors=grid, boxes_delta=outputs["boxes"])
        found = layer(boxes, outputs["classes"])
        return {name: np.asarray(x) for name, x in found.items()}

    return step


def assign_ours(inputs):
    import tensorflow as tf

    from keras_vision.detection import anchors, targets

    grid, canvas = anchors.grid(*inputs["canvas"]), inputs["canvas"]
    boxes, labels = tf.constant(inputs["boxes"]), tf.constant(inputs["labels"])
    crowd = tf.zeros_like(labels, tf.bool)
    assign = tf.function(lambda *objects: targets.assign(grid, *objects, canvas))
    return lambda: assign(boxes, labels, crowd)[0]["boxes"].numpy()


def assign_torch(inputs):
    import torch
    from torchvision.models.detection._utils import BoxCoder, Matcher
    from torchvision.ops.boxes import box_iou

    from keras_vision.detection import anchors

    torch.set_num_threads(CORES)
    grid = torch.from_numpy(anchors.grid(*inputs["canvas"]))
    boxes, labels = torch.from_numpy(inputs["boxes"]), torch.from_numpy(inputs["labels"]).long()
    matcher, coder = Matcher(0.5, 0.4, allow_low_quality_matches=True), BoxCoder((1, 1, 1, 1))

    def step():
        match = matcher(box_iou(boxes, grid))
        chosen = match >= 0
        classes = torch.zeros(len(grid), CLASSES)
        classes[chosen, labels[match[chosen]]] = 1
        return coder.encode_single(boxes[match[chosen]], grid[chosen])

    return step


def assign_hub(inputs):
    import tensorflow as tf

    height, width = inputs["canvas"]
    encoder = build_hub(128).label_encoder  # of anchors like ours
    images = tf.zeros((1, height, width, 3))
    boxes, labels = (tf.constant(inputs[name][None]) for name in ("boxes", "labels"))
    encode = tf.function(lambda: encoder(images, boxes, tf.cast(labels, tf.float32)))
    return lambda: encode()[0].numpy()


def anchors_ours(inputs):
    from keras_vision.detection import anchors

    # They are remembered, so a network of one size asks once.
    return lambda: np.concatenate(anchors.levels.__wrapped__(*inputs["canvas"]))


def torch_anchors(height, width):
    """torchvision's generator, and what it is given for such a picture."""
    import torch
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.retinanet import _default_anchorgen

    maps = [torch.zeros(1, 1, -(-height // 2**n), -(-width // 2**n)) for n in range(3, 8)]
    images = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    return partial(_default_anchorgen(), images, maps)


def anchors_torch(inputs):
    import torch

    torch.set_num_threads(CORES)
    return torch_anchors(*inputs["canvas"])


def train_ours(inputs):
    import keras
    import tensorflow as tf

    from keras_vision.detection import anchors, losses, retinanet, targets

    side = inputs["images"].shape[1]
    model = retinanet.build(size=(side, side))
    model.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9),
        {"classes": losses.FocalLoss(), "boxes": losses.SmoothL1()},
        jit_compile=False,
    )
    grid, no_crowd = anchors.grid(side, side), np.zeros(OBJECTS, bool)
    y, weights = tf.map_fn(
        lambda boxes: targets.assign(grid, boxes, inputs["labels"], no_crowd, (side, side)),
        inputs["many"],
        fn_output_signature=(
            {"classes": tf.int32, "boxes": tf.float32},
            dict.fromkeys(("classes", "boxes"), tf.float32),
        ),
    )
    return train_step(model, (inputs["images"], y, weights))


def train_step(model, batch):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensors(batch)
    model.fit(batches, shuffle=False, verbose=0)
    endless = iter(batches.repeat())
    return lambda: float(model.train_function(endless)["loss"])  # what `fit` calls for a step


def build_hub(side):
    import keras_hub

    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=(side, side, 3),
    )
    backbone = keras_hub.models.RetinaNetBackbone(
        encoder, min_level=3, max_level=7, use_p5=False, image_shape=(side, side, 3)
    )
    return keras_hub.models.RetinaNetObjectDetector(backbone, CLASSES, bounding_box_format="xyxy")


def train_hub(inputs):
    import keras

    model = build_hub(inputs["images"].shape[1])
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), jit_compile=False)
    labels = np.stack([inputs["labels"]] * BATCH).astype("float32")
    # Targets are assigned in its step, which costs it less than a hundredth of that.
    return train_step(model, (inputs["images"] / 255, {"boxes": inputs["many"], "labels": labels}))


def run_torch(layout, pictures):
    """torchvision's backbone and head, and a function that returns their outputs."""
    import torch
    from torch import nn
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.models.detection.retinanet import RetinaNetHead
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    torch.set_num_threads(CORES)
    layout = getattr(torch, layout)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    net = nn.ModuleList([backbone, RetinaNetHead(256, 9, CLASSES)]).to(memory_format=layout)
    # Standardised beforehand, which ours do in the network.
    tensor = (torch.from_numpy(pictures) / 127.5 - 1).permute(0, 3, 1, 2)
    tensor = tensor.contiguous(memory_format=layout)
    return net, lambda: net[1](list(net[0](tensor).values()))


def train_torch(layout, inputs):
    import torch
    from torchvision.models.detection._utils import Matcher
    from torchvision.ops.boxes import box_iou

    net, outputs = run_torch(layout, inputs["images"])
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, fused=True)
    (grid,) = torch_anchors(*inputs["images"].shape[1:3])()
    labels = torch.from_numpy(inputs["labels"]).long()
    boxes = [torch.from_numpy(one) for one in inputs["many"]]
    truth = [{"boxes": one, "labels": labels} for one in boxes]
    matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
    matches = [matcher(box_iou(one, grid)) for one in boxes]

    def step():
        losses = net[1].compute_loss(truth, outputs(), [grid] * BATCH, matches)
        loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def infer_ours(xla, inputs):
    from keras_vision.detection import retinanet

    side = inputs["images"].shape[1]
    return infer_step(retinanet.build(size=(side, side)), xla, inputs["images"][:1])


def infer_hub(xla, inputs):
    return infer_step(build_hub(inputs["images"].shape[1]), xla, inputs["images"][:1] / 255)


def infer_step(model, xla, pictures):
    import tensorflow as tf

    pictures, compiled = tf.constant(pictures), tf.function(model, jit_compile=xla)
    return lambda: [x.numpy() for x in compiled(pictures, training=False).values()]


def infer_torch(layout, inputs):
    import torch

    net, outputs = run_torch(layout, inputs["images"][:1])
    net.eval()

    def step():
        with torch.inference_mode():
            return [x.numpy() for x in outputs().values()]

    return step


def detections(inputs):
    """(found, truth) of many pictures: 7 objects each, found with errors, and false alarms."""
    random, found, truth = np.random.default_rng(2), [], []
    for _ in range(inputs["pictures"]):
        boxes, labels = random_boxes(random, 7, 480, 640), random.integers(0, CLASSES, 7)
        moved = boxes + random.normal(0, 4, boxes.shape).astype("float32")
        moved = np.sort(moved.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        alarms = random_boxes(random, 13, 480, 640)
        truth.append({"boxes": boxes, "labels": labels})
        guesses = np.concatenate([labels, random.integers(0, CLASSES, 13)])
        places, scores = np.concatenate([moved, alarms]), random.uniform(size=20)
        found.append({"boxes": places, "labels": guesses, "scores": scores})
    return found, truth


def measure_ours(inputs):
    from keras_vision.detection.metrics import average_precision

    found, truth = detections(inputs)
    names = [str(label) for label in range(CLASSES)]
    return lambda: average_precision(found, truth, names).loc["all", "AP"]


def measure_theirs(inputs):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    found, truth = (list(regions(side)) for side in detections(inputs))
    common = {
        "info": {},
        "images": [{"id": number, "height": 480, "width": 640} for number in range(len(truth))],
        "categories": [{"id": label} for label in range(CLASSES)],
    }

    def step():
        with redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = common | {"annotations": [one.copy() for one in truth]}
            coco.createIndex()
            evaluation = COCOeval(coco, coco.loadRes([one.copy() for one in found]), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation.stats[0]

    return step


def regions(pictures):
    """The boxes of pictures as COCO's dicts."""
    number = 0
    for image, one in enumerate(pictures):
        corners = one["boxes"].astype(float)
        sides = corners[:, 2:] - corners[:, :2]
        scores = one.get("scores", np.zeros(len(corners)))
        for place, side, label, score in zip(corners, sides, one["labels"], scores, strict=True):
            number += 1
            yield {
                **{"id": number, "image_id": image, "category_id": int(label), "iscrowd": 0},
                **{"bbox": [*place[:2], *side], "area": side.prod(), "score": score},
            }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="a .csv to write")
    parser.add_argument("--quick", action="store_true", help="a short round of small pictures")
    parser.add_argument("--rounds", type=int, help="turns of each contestant, 3 by default")
    parser.add_argument("--seconds", type=float, help="of a turn, 2 by default")
    args = parser.parse_args()
    bench.warn_if_busy()
    canvas, side, pictures = ((128, 160), 128, 50) if args.quick else ((672, 800), 512, 5000)
    rounds, seconds = (1, 0.3) if args.quick else (3, 2.0)
    rounds, seconds = args.rounds or rounds, args.seconds or seconds
    inputs = shared_inputs(canvas, side, pictures)
    rows = bench.rows(works(pictures), inputs, rounds, seconds)
    bench.report(rows, args.out, size=side, rounds=rounds)


if __name__ == "__main__":
    main()
