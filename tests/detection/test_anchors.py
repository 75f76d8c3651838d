import numpy as np
import pytest

from keras_vision.detection import anchors


def test_sizes_and_ratios_of_the_paper():
    """Areas of 32² to 512² and what lies between, ratios 1:2, 1:1, 2:1, but for rounding."""
    for level, places in enumerate(anchors.levels(512, 512)):
        sides = places[: anchors.PER_PLACE, 2:] - places[: anchors.PER_PLACE, :2]
        sizes = 32 * 2**level * 2 ** np.tile([0, 1 / 3, 2 / 3], 3)
        np.testing.assert_allclose(np.sqrt(sides.prod(1)), sizes, rtol=0.04)
        np.testing.assert_allclose(sides[:, 1] / sides[:, 0], np.repeat([0.5, 1, 2], 3), rtol=0.05)


def test_they_step_by_the_stride():
    places = anchors.levels(256, 384)[0].reshape(32, 48, 9, 4)
    centers = (places[..., :2] + places[..., 2:]) / 2
    np.testing.assert_array_equal(centers[3, 5], [[40, 24]] * 9)


@pytest.mark.parametrize("size", [(64, 64), (800, 1216), (33, 70)])
def test_as_many_as_the_maps_have_places(size):
    counts = [9 * -(-size[0] // stride) * -(-size[1] // stride) for stride in (8, 16, 32, 64, 128)]
    assert [len(places) for places in anchors.levels(*size)] == counts
    grid = anchors.grid(*size)
    assert grid.shape == (sum(counts), 4)
    assert grid.dtype == np.float32


@pytest.mark.parametrize("size", [(800, 1088), (224, 352), (75, 121)])
def test_they_are_torchvisions(size):
    torch = pytest.importorskip("torch")
    generators = pytest.importorskip("torchvision.models.detection.anchor_utils")
    retinanet = pytest.importorskip("torchvision.models.detection.retinanet")
    maps = [torch.zeros(1, 1, -(-size[0] // s), -(-size[1] // s)) for s in anchors.STRIDES]
    images = generators.ImageList(torch.zeros(1, 3, *size), [size])
    (theirs,) = retinanet._default_anchorgen()(images, maps)
    np.testing.assert_array_equal(anchors.grid(*size), theirs.numpy())
