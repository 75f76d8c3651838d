import contextlib
import io
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_vision.detection.metrics import (
    COLUMNS,
    average_precision,
    precision_recall,
    precision_recall_figure,
)

HERE, THERE = [10, 10, 30, 30], [60, 60, 80, 80]
SIDE = 300  # pixels of a mask
NOTHING = {"boxes": np.zeros((0, 4)), "labels": [], "scores": []}


def detections(boxes, scores, labels=None, **masks):
    labels = np.zeros(len(boxes), int) if labels is None else labels
    return {"boxes": np.float32(boxes), "labels": labels, "scores": np.float32(scores), **masks}


def objects(boxes, labels=None, **more):
    labels = np.zeros(len(boxes), int) if labels is None else labels
    return {"boxes": np.float32(boxes), "labels": labels, **more}


def scene(seed, photos=20, classes=3, most=30, crowds=0.0, ties=False, whole=False):
    """Random detections, half of them near an object, and objects of random areas.

    In the first photo is no object, in the second nothing is found.
    whole: boxes of whole pixels, so that overlaps, too, are tied.
    """
    rng = np.random.default_rng(seed)

    def boxes(count):
        corners, sizes = rng.uniform(0, 250, (count, 2)), np.exp(rng.uniform(2, 5.5, (count, 2)))
        return np.concatenate([corners, corners + sizes], axis=1)

    def stored(boxes):
        return np.float32(boxes.round() if whole else boxes)

    found, truth = [], []
    for photo in range(photos):
        count, many = rng.poisson(4) * (photo != 0), rng.integers(most + 1) * (photo != 1)
        true, labels = boxes(count), rng.integers(classes, size=count)
        area = (true[:, 2:] - true[:, :2]).prod(1) * rng.uniform(0.4, 1, count)
        truth.append(objects(stored(true), labels, area=area, crowd=rng.random(count) < crowds))
        guessed, guesses = boxes(many), rng.integers(classes, size=many)
        if count:
            near, chosen = rng.random(many) < 0.5, rng.integers(count, size=many)
            moves = rng.normal(0, 0.1, (many, 2)) * (true[chosen, 2:] - true[chosen, :2])
            guessed[near], guesses[near] = true[chosen[near]], labels[chosen[near]]
            guessed[near] += np.tile(moves, 2)[near]
        scores = np.sort(rng.integers(8, size=many) / 8 if ties else rng.random(many))[::-1]
        found.append(detections(stored(guessed), scores, guesses))
    return found, truth


def with_masks(photos, seed):
    """The photos with masks (N, SIDE, SIDE): boxes whose lower right corner is cut off."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    for photo in photos:
        x1, y1, x2, y2 = photo["boxes"].T[..., None, None]
        steep = rng.uniform(0.7, 2, x1.shape)
        inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
        yield {**photo, "masks": inside & (x - x1 + y - y1 < steep * (x2 - x1))}


def by_pycocotools(found, truth, classes, kind):
    """COCO's numbers, (12,), of these classes, by its own evaluator."""
    mask = pytest.importorskip("pycocotools.mask")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def regions(photos):
        for number, photo in enumerate(photos):
            for i, (x1, y1, x2, y2) in enumerate(photo["boxes"].astype(float)):
                region = {"image_id": number, "category_id": int(photo["labels"][i])}
                if kind == "boxes":
                    region["bbox"] = [x1, y1, x2 - x1, y2 - y1]
                else:
                    region["segmentation"] = mask.encode(np.asfortranarray(photo["masks"][i]))
                yield photo, i, region

    coco = COCO()
    coco.dataset = {
        "images": [{"id": n, "height": SIDE, "width": SIDE} for n in range(len(truth))],
        "categories": [{"id": label} for label in range(max(classes) + 1)],
        "annotations": [
            {"id": n, "area": photo["area"][i], "iscrowd": int(photo["crowd"][i]), **region}
            for n, (photo, i, region) in enumerate(regions(truth), 1)
        ],
    }
    results = [{"score": photo["scores"][i], **region} for photo, i, region in regions(found)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(
            coco, coco.loadRes(results), {"boxes": "bbox", "masks": "segm"}[kind]
        )
        evaluation.params.catIds = classes
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.where(evaluation.stats < 0, np.nan, evaluation.stats)


SCENES = {
    "plain": {},
    "crowds": {"crowds": 0.3},
    "ties": {"ties": True, "whole": True, "crowds": 0.2},
    "more than 100": {"classes": 1, "most": 250},
    "rare classes": {"classes": 9, "photos": 4},
}


@pytest.mark.parametrize("settings", SCENES.values(), ids=SCENES)
def test_boxes_score_as_in_pycocotools(settings):
    found, truth = scene(1, **settings)
    classes = list(range(settings.get("classes", 3)))
    table = average_precision(found, truth, class_names=classes)
    expected = [by_pycocotools(found, truth, chosen, "boxes") for chosen in (classes, [0])]
    np.testing.assert_allclose(table.loc[["all", "0"]], expected, atol=1e-9)


@pytest.mark.parametrize("settings", SCENES.values(), ids=SCENES)
def test_masks_score_as_in_pycocotools(settings):
    found, truth = scene(2, **{**settings, "photos": 6})
    found, truth = list(with_masks(found, 0)), list(with_masks(truth, 1))
    classes = list(range(settings.get("classes", 3)))
    table = average_precision(iter(found), iter(truth), classes, kind="masks")
    expected = by_pycocotools(found, truth, classes, "masks")
    np.testing.assert_allclose(table.loc["all"], expected, atol=1e-9)


def overlap(box, others):
    corners = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.maximum(corners[1] - corners[0], 0).prod(-1)
    sizes = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (box, others)]
    return shared / (sum(sizes) - shared)


def curve_by_loop(found, truth, label, least):
    """Precision (101,) of a class: the best first, each takes the free object it overlaps most."""
    ranked = sorted(
        (-score, photo, box)
        for photo, one in enumerate(found)
        for score, box in zip(
            *(one[key][one["labels"] == label].tolist() for key in ("scores", "boxes")),
            strict=True,
        )
    )
    free = [one["boxes"][one["labels"] == label].astype(float) for one in truth]
    count, right, curve = sum(map(len, free)), [], np.zeros(101)
    for _, photo, box in ranked:
        overlaps = overlap(np.array(box), free[photo])
        right.append(len(overlaps) > 0 and overlaps.max() >= least)
        if right[-1]:
            free[photo] = np.delete(free[photo], overlaps.argmax(), axis=0)
    hits = np.cumsum(right)
    for n, recall in enumerate(np.linspace(0, 1, 101)):
        reached = [hits[k] / (k + 1) for k in range(len(hits)) if hits[k] / count >= recall]
        curve[n] = max(reached, default=0)
    return curve


@pytest.mark.parametrize("least", [0.5, 0.75])
def test_precision_at_one_overlap_equals_a_loop(least):
    found, truth = scene(3)
    curves = precision_recall(
        found, [objects(one["boxes"], one["labels"]) for one in truth], (), least
    )
    expected = {str(label): curve_by_loop(found, truth, label, least) for label in range(3)}
    for name, curve in expected.items():
        np.testing.assert_allclose(curves[name], curve, atol=1e-9)
    np.testing.assert_allclose(curves["all"], np.mean(list(expected.values()), 0), atol=1e-9)
    table = average_precision(found, truth)
    for name, curve in curves.items():
        np.testing.assert_allclose(table.loc[name, f"AP{least * 100:.0f}"], curve.mean())


def test_by_hand():
    """Of three small objects one is found exactly, one by 62 %, one is missed; one is invented."""
    truth = [objects([HERE, THERE]), objects([HERE])]
    found = [
        detections([HERE, [200, 200, 220, 220]], [0.9, 0.8]),
        detections([[10, 10, 30, 22.4]], [0.7]),
    ]
    numbers = average_precision(found, truth).loc["all"]
    # Precision 1 up to recall 1/3, which is 34 of the 101, then 2/3 up to 2/3, or nothing.
    loose, strict = (34 + 33 * 2 / 3) / 101, 34 / 101
    ap, recall = (3 * loose + 7 * strict) / 10, (3 * 2 / 3 + 7 * 1 / 3) / 10
    nan = np.nan
    expected = [ap, loose, strict, ap, nan, nan, recall, recall, recall, recall, nan, nan]
    np.testing.assert_allclose(numbers, expected)
    assert list(numbers.index) == COLUMNS


def test_perfect_detections():
    _, truth = scene(4)
    truth = [objects(one["boxes"], one["labels"]) for one in truth]
    found = [detections(one["boxes"], np.ones(len(one["labels"])), one["labels"]) for one in truth]
    table = average_precision(found, truth, ["ape", "bee", "cat"])
    assert list(table.index) == ["all", "ape", "bee", "cat"]
    assert (table.drop(columns=["AR1"]) == 1).all(axis=None)


def test_nothing_found():
    table = average_precision([NOTHING], [objects([HERE], [1])], ["ape", "bee", "cat"])
    assert (table.loc[["all", "bee"], ["AP", "AP50", "APs", "AR1", "AR100", "ARs"]] == 0).all(
        axis=None
    )
    assert table.loc[["all", "bee"], ["APm", "APl", "ARm", "ARl"]].isna().all(axis=None)
    assert table.loc[["ape", "cat"]].isna().all(axis=None)


@pytest.mark.parametrize("found", [[NOTHING], [detections([HERE], [0.5], [1])]])
def test_no_truth_at_all(found):
    table = average_precision(found, [NOTHING], ["ape", "bee"])
    assert table.shape == (3, 12)
    assert table.isna().all(axis=None)


def test_no_photos_at_all():
    table = average_precision([], [])
    assert list(table.index) == ["all"]
    assert table.isna().all(axis=None)


@pytest.mark.parametrize("times", [0, 1, 5])
def test_crowds_neither_reward_nor_punish(times):
    boxes, scores = [HERE, [200, 200, 220, 220]], [0.9, 0.8]
    table = average_precision([detections(boxes, scores)], [objects([HERE, THERE])])
    crowd, inside = [300, 300, 400, 400], [[310, 310, 330, 330]] * times
    found = detections([*inside, *boxes], [*[1] * times, *scores])
    truth = objects([HERE, THERE, crowd], crowd=[False, False, True])
    crowded = average_precision([found], [truth])
    # The one best, of which AR1 is, may lie in the crowd.
    assert crowded.drop(columns="AR1").equals(table.drop(columns="AR1"))
    np.testing.assert_allclose(crowded.loc["all", "AP"], 51 / 101)


def test_what_is_found_in_a_photo_without_objects_counts_as_wrong():
    true, right = objects([HERE]), detections([HERE], [0.5])
    table = average_precision([right, NOTHING], [true, NOTHING])
    assert table.loc["all", "AP"] == 1
    table = average_precision([right, detections([HERE], [0.9])], [true, NOTHING])
    assert table.loc["all", "AP"] == 0.5


@pytest.mark.parametrize(("place", "expected"), [(0, 1), (9, 0.1), (99, 0.01), (100, 0)])
def test_the_best_100_of_a_class_count(place, expected):
    boxes = np.tile(np.float32(THERE), (150, 1))
    boxes[place] = HERE
    found = detections(boxes, np.linspace(1, 0, 150))
    others = detections(boxes, np.linspace(1, 0.9, 150), np.ones(150, int))  # another class's
    found = {key: np.concatenate([others[key], found[key]]) for key in found}
    numbers = average_precision([found], [objects([HERE])]).loc["0"]
    np.testing.assert_allclose(numbers["AP"], expected)
    recalls = [float(place < limit) for limit in (1, 10, 100)]
    np.testing.assert_allclose(numbers[["AR1", "AR10", "AR100"]], recalls)


def test_masks_count_instead_of_their_boxes():
    true = np.zeros((1, 10, 10), bool)
    true[0, :5] = True
    part = true & (np.arange(100).reshape(1, 10, 10) < 31)  # 62 % of it
    found, truth = detections([HERE], [0.5], masks=part), objects([HERE], masks=true)
    assert average_precision([found], [truth]).loc["all", "AP"] == 1
    np.testing.assert_allclose(
        average_precision([found], [truth], kind="masks").loc["all", "AP"], 0.3
    )


def test_sizes_are_of_the_area_told_or_of_box_or_mask():
    box, mask = [0, 0, 40, 40], np.eye(50, dtype=bool)[None]
    found, truth = detections([box], [0.5], masks=mask), objects([box], masks=mask)
    told = {**truth, "area": [100**2]}
    sizes = ["APs", "APm", "APl"]
    for true, kind, size in (
        (truth, "boxes", "APm"),
        (truth, "masks", "APs"),
        (told, "boxes", "APl"),
        (told, "masks", "APl"),
    ):
        numbers = average_precision([found], [true], kind=kind).loc["all", sizes]
        assert numbers.dropna().to_dict() == {size: 1}


def test_tensors_and_generators_as_a_dataset_yields_them():
    found, truth = scene(5, crowds=0.2)
    tensors = ({key: tf.constant(array) for key, array in one.items()} for one in truth)
    names = np.array(["ape", "bee", "cat"])
    table = average_precision((one for one in found), tensors, names)
    assert table.equals(average_precision(found, truth, list(names)))


def test_the_evaluator_is_silent(capfd):
    average_precision(*scene(6))
    assert capfd.readouterr() == ("", "")


def test_what_was_given_is_left_as_it_was():
    found, truth = scene(7)
    before = [one["boxes"].copy() for one in found + truth]
    average_precision(found, truth)
    for one, boxes in zip(found + truth, before, strict=True):
        np.testing.assert_array_equal(one["boxes"], boxes)


def test_curves_come_with_the_most_frequent_classes_first():
    truth = objects([HERE, THERE, HERE, THERE], [1, 1, 0, 3], crowd=[False, False, False, True])
    curves = precision_recall([NOTHING], [truth], ["ape", "bee", "cat", "dog"])
    assert list(curves) == ["all", "bee", "ape", "cat", "dog"]
    assert np.isnan(curves["cat"]).all()
    assert np.isnan(curves["dog"]).all()  # a crowd only
    assert all(curve.shape == (101,) for curve in curves.values())
    assert (curves["all"] == 0).all()


def test_figure_of_the_most_frequent_classes():
    curves = precision_recall(*scene(8, classes=15, photos=30))
    axis = precision_recall_figure(curves).axes[0]
    assert [line.get_label() for line in axis.lines] == list(curves)[:10]
    for line in axis.lines:
        np.testing.assert_array_equal(line.get_ydata(), curves[line.get_label()])
    assert axis.lines[0].get_xdata()[-1] == 1


def test_figure_of_nothing():
    assert not precision_recall_figure(precision_recall([], [])).axes[0].lines


ONE, TRUE = detections([HERE], [0.5]), objects([HERE])


@pytest.mark.parametrize(
    ("found", "truth", "message"),
    [
        ([ONE], [TRUE, TRUE], "found: expected as many photos as truth, got 1"),
        ([ONE, ONE, ONE], [TRUE, TRUE], "truth: expected as many photos as found, got 2"),
        (ONE, [TRUE], "found, photo 0: expected a dict, got str"),
        ([TRUE], [TRUE], "found, photo 0: expected boxes, labels, scores, got boxes, labels"),
        ([ONE, {**ONE, "boxes": [[1, 2, 3]]}], [TRUE, TRUE], r"found, photo 1: .*\(1, 3\)"),
        ([{**ONE, "boxes": HERE}], [TRUE], r"expected .*\(1, 4\).* got .*\(4,\)"),
        ([{**ONE, "labels": [0, 1]}], [TRUE], r"expected .*\(2, 4\).* got .*\(1, 4\)"),
        ([ONE], [{**TRUE, "labels": 0}], r"truth, photo 0: expected .* got .*\(\)"),
        ([ONE], [{**TRUE, "crowd": []}], r"truth, photo 0: .*'crowd': \(0,\)"),
        ([{**ONE, "scores": [np.nan]}], [TRUE], "found, photo 0: expected finite scores"),
        ([ONE], [{**TRUE, "boxes": [[0, 0, np.inf, 1]]}], "truth, photo 0: expected finite boxes"),
        ([ONE], [{**TRUE, "area": [np.nan]}], "truth, photo 0: expected finite area"),
        ([ONE], [objects([[50, 50, 20, 20]])], r"truth, photo 0: expected corners .* \[\[50"),
        ([{**ONE, "labels": [2]}], [TRUE], r"found, photo 0: .* 0 <= label < 2, got \[2\]"),
        ([ONE], [{**TRUE, "labels": [-1]}], r"truth, photo 0: .* label < 2, got \[-1\]"),
        ([ONE], [{**TRUE, "labels": [0.5]}], r"whole numbers .* got \[0.5\]"),
    ],
)
def test_what_is_no_result_or_truth_is_refused(found, truth, message):
    for measure in (average_precision, precision_recall):
        with pytest.raises(ValueError, match=message):
            measure(found, truth, ["ape", "bee"])


@pytest.mark.parametrize(
    ("masks", "true", "message"),
    [
        (None, (1, 5, 5), "found, photo 0: expected boxes, labels, scores, masks, got"),
        ((2, 5, 5), (1, 5, 5), r"found, photo 0: .*'masks': \(2, 5, 5\)"),
        ((5, 5), (1, 5, 5), r"found, photo 0: .*'masks': \(5, 5\)"),
        ((1, 5, 5), (1, 5, 6), "photo 0: expected masks of one size"),
    ],
)
def test_what_are_no_masks_is_refused(masks, true, message):
    found = ONE if masks is None else {**ONE, "masks": np.zeros(masks, bool)}
    with pytest.raises(ValueError, match=message):
        average_precision([found], [{**TRUE, "masks": np.zeros(true, bool)}], kind="masks")


def test_probabilities_are_no_masks():
    found, truth = ({**one, "masks": np.zeros((1, 5, 5))} for one in (ONE, TRUE))
    with pytest.raises(ValueError, match="expected masks of bool, got float64"):
        average_precision([found], [truth], kind="masks")


def test_other_arguments_are_refused():
    with pytest.raises(ValueError, match='kind must be "boxes" or "masks"'):
        average_precision([ONE], [TRUE], kind="mask")
    for overlap in (0, 50, np.nan):
        with pytest.raises(ValueError, match="overlap must be above 0 and at most 1"):
            precision_recall([ONE], [TRUE], overlap=overlap)


def test_a_missing_evaluator_is_named_before_anything_is_computed(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    found = iter([ONE])
    with pytest.raises(ImportError, match=r'pip install "keras_vision\[detection\]"'):
        average_precision(found, [TRUE])
    assert next(found) is ONE
