"""torchvision's FCN-ResNet-50, with equal random weights, is the oracle; and figure 3 by hand."""

import keras
import make_segmentation_golden as golden
import numpy as np
import pytest
from keras import ops
from make_classifier_golden import FACTOR, photos, state_of

from keras_vision.classification import resnet, vgg
from keras_vision.segmentation import fcn

GOLDEN = np.load(golden.GOLDEN)


@pytest.fixture(scope="module")
def state():
    shapes = (tuple(map(int, shape.split())) for shape in GOLDEN["shapes"])
    return state_of(dict(zip(GOLDEN["names"].tolist(), shapes, strict=True)))


@pytest.fixture
def small(state, save_torch, tmp_path):
    """A function that builds the network of the golden one's size, with its weights."""

    def build(**settings):
        path = save_torch(tmp_path / "fcn.pth", state)
        backbone = resnet.backbone(50, width=1 / FACTOR, stride=8)
        return fcn.build(weights=path, backbone=backbone, **settings)

    return build


@pytest.mark.parametrize("size", golden.SIZES)
def test_logits_equal_torchvisions(small, size):
    both = small(side_head=True).predict_on_batch(photos(*size))
    for name, logits in both.items():
        theirs = GOLDEN[f"{size[0]}x{size[1]}/{name}"]
        ours = logits[:, ::5, ::5]
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    alone = small().predict_on_batch(photos(*size))
    np.testing.assert_allclose(alone, both["logits"], rtol=1e-5, atol=1e-5)


def test_classes_are_those_of_the_weights(small):
    assert small().output_shape == (None, None, None, golden.CLASSES)
    with pytest.raises(ValueError, match=r"classifier\.4\.weight"):
        small(classes=7)


def test_a_dilated_backbone_has_the_weights_of_the_plain_one():
    """And its maps are finer, and where strides fall on them nearly the same for smooth photos."""
    plain = resnet.backbone(18, width=1 / 8)
    dilated = resnet.backbone(18, width=1 / 8, stride=8)
    dilated.set_weights(plain.get_weights())
    maps = [model.predict_on_batch(np.full((1, 128, 128, 3), 90.0)) for model in (plain, dilated)]
    assert maps[0]["c5"].shape == (1, 4, 4, 64)
    assert maps[1]["c5"].shape == (1, 16, 16, 64)
    assert maps[1]["c4"].shape == (1, 16, 16, 32)
    np.testing.assert_array_equal(maps[0]["c3"], maps[1]["c3"])


def test_figure_3():
    """What c5 says is doubled, added to what c4 says, and so on: by Keras' own resizing."""
    backbone = vgg.backbone(11, width=1 / 16)
    model = fcn.build(3, backbone=backbone, skips=2)
    random = np.random.default_rng(0)
    for name in ("score_c4", "score_c3"):
        kernel = model.get_layer(name).kernel
        kernel.assign(random.normal(size=kernel.shape))
    photo = random.integers(0, 256, (1, 224, 224, 3)).astype("float32")
    maps = backbone.predict_on_batch(photo)
    coarse = keras.Model(model.input, model.get_layer("classifier.4").output)
    y = coarse.predict_on_batch(photo)
    for name in ("c4", "c3"):
        y = ops.image.resize(y, maps[name].shape[1:3]) + model.get_layer(f"score_{name}")(
            maps[name]
        )
    expected = ops.convert_to_numpy(ops.image.resize(y, (224, 224)))
    found = model.predict_on_batch(photo)
    # Transposed convolutions see nothing beyond the edge, where resizing repeats what is there.
    inner = (0, slice(48, -48), slice(48, -48))
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-3, atol=1e-4)


def test_skips_say_nothing_at_first():
    model = fcn.build(3, backbone=vgg.backbone(11, width=1 / 16), skips=2)
    for name in ("score_c4", "score_c3"):
        assert not np.any(model.get_layer(name).kernel)
    with pytest.raises(ValueError, match="No such layer"):
        fcn.build(3, backbone=vgg.backbone(11, width=1 / 16), skips=1).get_layer("score_c3")


def test_of_a_dilated_backbone_skips_are_where_the_maps_are():
    """c4 and c5 are as large: what c5 says is not moved before c4 is added."""
    backbone = resnet.backbone(18, small=True, width=1 / 16)
    one = backbone.output["c4"]
    same = keras.Model(backbone.input, {"c3": backbone.output["c3"], "c4": one, "c5": one})
    model = fcn.build(2, backbone=same, skips=1)
    assert "up_c4" not in [layer.name for layer in model.layers]
    x = np.zeros((1, 4, 4, 2))
    assert fcn.interpolated(x, 1, name="up") is x


def test_the_side_head_is_torchvisions():
    with pytest.raises(ValueError, match="side_head goes with skips=None"):
        fcn.build(3, backbone=resnet.backbone(18, width=1 / 16), skips=2, side_head=True)
