import numpy as np
import pytest

from keras_vision.datasets import folder, omniglot
from keras_vision.metric_learning import embedder, metrics
from keras_vision.metric_learning.evaluate import spread_of, vectors_of, verification
from keras_vision.rows import Rows


@pytest.mark.realdata
def test_the_shipped_network_is_as_good_as_its_card_says(data_root):
    drawings = omniglot.load("evaluation", data_root / "omniglot")

    def coloured(row):
        raw = drawings.read(row)
        return {**raw, "image": np.ones(3, "uint8") * raw["image"]}

    vectors, ids = vectors_of(embedder.build(weights="omniglot"), Rows(drawings.columns, coloured))
    alphabets = drawings.columns["alphabet"].numpy()
    assert metrics.one_shot(vectors, ids)[0] == pytest.approx(0.951, abs=0.004)
    within = metrics.one_shot(vectors, ids, groups=alphabets)[0]
    assert within == pytest.approx(0.868, abs=0.004)


@pytest.mark.realdata
def test_faces_of_people_never_seen(data_root):
    people = folder.load(data_root / "orl" / "att_faces")
    others = people.select(np.asarray(people.columns["label"]) >= 20)
    found = verification(embedder.build(weights="faces"), others)
    assert found["equal_error_rate"] == pytest.approx(0.084, abs=0.01)


def test_they_are_small():
    sizes = {name: path.stat().st_size for name, path in embedder.SHIPPED.items()}
    assert sizes["omniglot"] < 1e6
    assert sizes["faces"] < 2e6


@pytest.mark.parametrize(
    ("vectors", "spread"),
    [([[3, 4], [3, 4]], 0), ([[1, 0], [-2, 0]], 1), ([[0, 0], [0, 0]], 0)],
)
def test_spread(vectors, spread):
    assert spread_of(np.array(vectors, float)) == pytest.approx(spread)
