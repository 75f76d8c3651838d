import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector import projector_config_pb2

from keras_vision.metric_learning import projector

RNG = np.random.default_rng(0)


def test_tensorboard_reads_it(tmp_path):
    vectors = RNG.normal(size=(5, 3))
    pictures = np.arange(5, dtype="uint8")[:, None, None, None] * np.ones((1, 40, 50, 3), "uint8")
    projector.write(tmp_path / "run", vectors, ["a\tb", *"cdef"], pictures)
    text = (tmp_path / "run" / "projector_config.pbtxt").read_text()
    (entry,) = text_format.Parse(text, projector_config_pb2.ProjectorConfig()).embeddings
    found = np.loadtxt(tmp_path / "run" / entry.tensor_path)
    np.testing.assert_allclose(found, vectors, rtol=1e-5)
    names = (tmp_path / "run" / entry.metadata_path).read_text().splitlines()
    assert names == ["a b", *"cdef"]
    sprite = np.asarray(Image.open(tmp_path / "run" / entry.sprite.image_path))
    height, width = entry.sprite.single_image_dim
    assert sprite.shape == (3 * height, 3 * width, 3)
    for number in range(5):
        row, column = divmod(number, 3)
        assert (sprite[row * height : (row + 1) * height, column * width][:, 0] == number).all()


def test_nothing_is_overwritten(tmp_path):
    projector.write(tmp_path, RNG.normal(size=(2, 3)), "ab")
    assert not (tmp_path / "sprite.png").exists()
    before = (tmp_path / "vectors.tsv").read_text()
    with pytest.raises(FileExistsError, match=r"vectors\.tsv"):
        projector.write(tmp_path, RNG.normal(size=(2, 3)), "ab")
    assert (tmp_path / "vectors.tsv").read_text() == before
    projector.write(tmp_path, RNG.normal(size=(2, 3)), "ab", overwrite=True)
    assert (tmp_path / "vectors.tsv").read_text() != before


def test_blank_names_are_shown_as_such(tmp_path):
    """TensorBoard would pass over an empty line, and give the next name to this picture."""
    projector.write(tmp_path, RNG.normal(size=(3, 2)), ["a", " ", "c"])
    assert (tmp_path / "metadata.tsv").read_text().splitlines() == ["a", "-", "c"]


@pytest.mark.parametrize("shape", [(2, 5, 5), (2, 5, 5, 2), (2, 5, 5, 4)])
def test_what_are_no_pictures(shape, tmp_path):
    for dtype in ("uint8", "float32"):
        with pytest.raises(ValueError, match=rf"as uint8 .*, got {dtype} \(2, 5, 5"):
            projector.write(tmp_path / "run", np.eye(2), "ab", np.zeros(shape, dtype))
    with pytest.raises(ValueError, match=r"got float64 \(2, 5, 5, 3\)"):
        projector.write(tmp_path / "run", np.eye(2), "ab", np.zeros((2, 5, 5, 3)))
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("a run")
    with pytest.raises(NotADirectoryError, match="run is a file: choose another name"):
        projector.write(tmp_path / "run", np.eye(2), "ab")
    assert (tmp_path / "run").read_text() == "a run"


def test_names_and_pictures_as_datasets_have_them(tmp_path):
    """Bytes or a string tensor, and grey."""
    grey = np.arange(2, dtype="uint8")[:, None, None, None] * np.full((1, 9, 9, 1), 100, "uint8")
    for number, names in enumerate(([b"one", b"two"], tf.constant(["one", "two"]))):
        folder = tmp_path / str(number)
        projector.write(folder, np.eye(2), names, grey)
        assert (folder / "metadata.tsv").read_text().split() == ["one", "two"]
        sprite = np.asarray(Image.open(folder / "sprite.png"))
        assert (sprite[0, 0].tolist(), sprite[0, -1].tolist()) == ([0] * 3, [100] * 3)


@pytest.mark.parametrize(
    ("vectors", "names", "pictures", "message"),
    [
        (np.zeros(3), "abc", None, r"expected vectors \(N, D\), got the shape \(3,\)"),
        (np.zeros((3, 2)), "ab", None, "expected names of 3 vectors, got 2"),
        (np.zeros((1, 2)), "a", [], "expected pictures of 1 vectors, got 0"),
        (np.zeros((0, 2)), "", None, "expected a vector at least"),
        (np.full((1, 2), np.nan), "a", None, "expected finite vectors"),
    ],
)
def test_what_does_not_fit(vectors, names, pictures, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        projector.write(tmp_path, vectors, names, pictures)
