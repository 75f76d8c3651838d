"""What all verbs share: photos in, an answer for each out, in the photos' order."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from keras import tree
from tqdm import tqdm

from keras_vision import images

READERS = 2  # threads that read and prepare photos while the network computes
HELD = 2**28  # bytes of photos that may wait until a batch of their size is full


def answers(model, photos, prepare, finish, batch_size=8, name=None):
    """Yields `finish(kept, output)` for each photo, and holds but a few photos at a time.

    model: of one input, whose outputs are arrays (B, ...). Photos that are prepared to the same
        size are given to it together.
    photos: one photo, a batch (B, H, W, C), or an iterable of photos, read as answers are asked
        for: all that `images.read_all` takes.
    prepare: maps rgb uint8 (H, W, 3) to (seen, kept): the network's input, an array, and what
        `finish` needs of the photo. Called in threads; its ValueError gets the photo's name.
    finish: maps `kept` and the photo's own output to its answer.
    name: of the progress bar, which appears on a terminal after three seconds.
    """
    done, turn = {}, 0
    total = len(photos) if images.holds_several(photos) and hasattr(photos, "__len__") else None
    with tqdm(total=total, desc=name, delay=3, leave=False, disable=None) as bar:
        for group in groups(prepared(photos, prepare), batch_size):
            numbers, seen, kept = zip(*group, strict=True)
            outputs = model.predict_on_batch(np.stack(seen))
            for row, number in enumerate(numbers):
                own = tree.map_structure(lambda array, row=row: array[row], outputs)
                done[number] = finish(kept[row], own)
            while turn in done:
                bar.update()
                yield done.pop(turn)
                turn += 1


def like(photos, answers):
    """Answers in the form of the photos: one, an array for a batch, a generator, or a list.

    An empty batch comes back as it is.
    """
    if not images.holds_several(photos):
        return next(answers)
    if isinstance(photos, Iterator):
        return answers
    answers = list(answers)
    if getattr(photos, "ndim", 0) == 4:
        return np.stack(answers) if answers else np.asarray(photos)
    return answers


def prepared(photos, prepare):
    """Yields `prepare(rgb)` of each photo, a few of them ahead of time."""
    with ThreadPoolExecutor(READERS) as readers:
        ahead = deque()
        for image, place in images.named(photos):
            # What is no file may be gone, or another one, when the next photo is asked for.
            read = images.reader(image, place)
            ahead.append(readers.submit(prepared_one, read, prepare, place))
            if len(ahead) > READERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def prepared_one(read, prepare, place):
    rgb = read()
    try:
        return prepare(rgb)
    except ValueError as error:
        raise ValueError(f"{place}{error}") from error


def groups(prepared, batch_size):
    """Lists of (number, seen, kept) that were seen in one size, from (seen, kept) in a row.

    They have `batch_size` entries, or fewer where those that wait would become too many.
    """
    waiting, sizes = {}, deque()  # by shape, the oldest first; bytes of all since the oldest
    for number, (seen, kept) in enumerate(prepared):
        waiting.setdefault(seen.shape, []).append((number, seen, kept))
        sizes.append(sum(getattr(x, "nbytes", 0) for x in tree.flatten((seen, kept))))
        if len(waiting[seen.shape]) == batch_size:
            yield waiting.pop(seen.shape)
        while waiting:
            oldest = next(iter(waiting))
            while len(sizes) > number + 1 - waiting[oldest][0][0]:
                sizes.popleft()
            if sum(sizes) <= HELD:
                break
            yield waiting.pop(oldest)
    yield from waiting.values()
