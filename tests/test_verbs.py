import threading

import numpy as np
import pytest
from PIL import Image

from keras_vision import colorization, verbs
from keras_vision.verbs import answers, like


class Sums:
    """A model that adds up each picture, and remembers the batches it was given."""

    def __init__(self):
        self.shapes = []

    def predict_on_batch(self, batch):
        self.shapes.append(batch.shape)
        return {"sum": batch.sum((1, 2, 3))}


def photo(number, height=4):
    return np.full((height, 5, 3), number, "uint8")


def prepare(rgb):
    return rgb[..., :1].astype(int), rgb


def finish(rgb, output):
    return int(rgb[0, 0, 0]), int(output["sum"])


def test_one_answer_a_photo_in_their_order():
    model = Sums()
    heights = [4, 7, 4, 9, 7, 4, 4, 7, 4, 4]
    photos = [photo(number, height) for number, height in enumerate(heights)]
    found = list(answers(model, photos, prepare, finish, batch_size=3))
    assert found == [(n, n * height * 5) for n, height in enumerate(heights)]
    assert sorted(model.shapes) == [
        (1, 9, 5, 1), (3, 4, 5, 1), (3, 4, 5, 1), (3, 7, 5, 1)
    ]  # fmt: skip


def test_photos_are_read_as_answers_are_asked_for(monkeypatch):
    monkeypatch.setattr(verbs, "HELD", 10 * photo(0).nbytes * 3)
    given = []

    def endless():
        while True:
            given.append(len(given))
            # Those of a size of their own would wait for ever for a second one.
            yield photo(len(given) % 200, 4 + (len(given) % 7 == 0))

    stream = answers(Sums(), endless(), prepare, finish, batch_size=50)
    for asked in range(300):
        next(stream)
        assert len(given) - asked < 30
    stream.close()


def test_a_batch_that_is_full_does_not_wait(monkeypatch):
    given = []
    stream = answers(Sums(), (given.append(n) or photo(n) for n in range(100)), prepare, finish, 4)
    next(stream)
    assert len(given) <= 4 + verbs.READERS + 1
    stream.close()


def test_two_photos_are_prepared_at_once():
    both = threading.Barrier(2, timeout=20)

    def meet(rgb):
        both.wait()
        return prepare(rgb)

    assert len(list(answers(Sums(), [photo(n) for n in range(4)], meet, finish))) == 4


def test_errors_tell_which_photo(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no photo")
    with pytest.raises(ValueError, match=r"^image 2 of 2: .*broken\.png.*whole image"):
        list(answers(Sums(), [photo(0), tmp_path / "broken.png"], prepare, finish))

    def refuse(rgb):
        if rgb[0, 0, 0] == 2:
            raise ValueError("too dark")
        return prepare(rgb)

    with pytest.raises(ValueError, match=r"^image 3: too dark"):
        list(answers(Sums(), (photo(n) for n in range(5)), refuse, finish))


def test_what_is_no_file_is_read_before_the_next_is_asked_for(tmp_path):
    """A generator may draw into one array, or close its file."""
    path = tmp_path / "a.png"
    Image.fromarray(photo(9)).save(path)

    def changing():
        frame = photo(0)
        for number in range(6):
            frame[:] = number
            yield frame
        with Image.open(path) as image:
            yield image

    found = [n for n, _ in answers(Sums(), changing(), prepare, finish)]
    assert found == [0, 1, 2, 3, 4, 5, 9]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_form_of_the_photos(count):
    photos = [photo(n) for n in range(count)]

    def echoed(photos):
        return like(photos, answers(Sums(), photos, prepare, lambda rgb, _: rgb))

    assert [rgb[0, 0, 0] for rgb in echoed(photos)] == list(range(count))
    assert isinstance(echoed(photos), list)
    batch = np.zeros((count, 4, 5, 3), "uint8")
    assert echoed(batch).shape == batch.shape
    lazily = echoed(iter(photos))
    assert not isinstance(lazily, list)
    assert len(list(lazily)) == count
    assert echoed(photo(3))[0, 0, 0] == 3


def test_a_thousand_sizes_are_not_compiled_a_thousand_times():
    model = colorization.build(width=1 / 32)
    sizes = np.random.default_rng(0).integers(8, 90, (40, 2))
    colorization.colorize(model, [np.zeros((*size, 3), "uint8") for size in sizes])
    assert model.predict_function.experimental_get_tracing_count() <= 3
