from keras_vision.datasets import shapes
from keras_vision.rows import Rows
from keras_vision.segmentation import evaluate, unet
from keras_vision.segmentation.data import from_instances


def test_shipped_weights_find_drawn_shapes():
    rows = shapes.load("val", size=128, count=30)
    names = ("background", *shapes.class_names)
    rows = Rows(rows.columns, lambda row, read=rows.read: from_instances(read(row)), names)
    table = evaluate(unet.build(weights="shapes"), rows)
    assert table.loc["mean", "iou"] > 0.88
    assert table.attrs["pixel_accuracy"] > 0.98


def test_shipped_weights_are_small():
    assert unet.SHIPPED["shapes"].stat().st_size < 4 * 2**20
