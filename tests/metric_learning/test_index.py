"""The table of all distances, sorted, is the oracle."""

import math
import sys
import tracemalloc
from zipfile import ZipFile

import numpy as np
import pytest
import tensorflow as tf

from keras_vision.metric_learning import index
from keras_vision.metric_learning.index import Index

COLUMNS = ["query", "rank", "name", "distance"]


def blobs(count, dimension=16, centres=40, spread=0.3, seed=0):
    random = np.random.default_rng(seed)
    middles = np.random.default_rng(9).normal(size=(centres, dimension))
    vectors = middles[random.integers(centres, size=count)]
    return (vectors + spread * random.normal(size=vectors.shape)).astype("float32")


def by_loop(vectors, queries, top):
    """(place, distance) of each rank, query after query."""
    vectors = np.asarray(vectors, "float64").tolist()
    for query in np.asarray(queries, "float64").tolist():
        distances = [math.dist(vector, query) for vector in vectors]
        for place in sorted(range(len(vectors)), key=distances.__getitem__)[:top]:
            yield place, distances[place]


def check(vectors, queries, top, approximate=False):
    if approximate:
        pytest.importorskip("faiss")
    table = Index(vectors, approximate=approximate).search(queries, top)
    assert list(table.columns) == COLUMNS
    places, distances = zip(*by_loop(vectors, queries, top), strict=True)
    assert table["name"].tolist() == list(places)
    np.testing.assert_allclose(table["distance"], distances, rtol=1e-12)
    assert table["query"].tolist() == [n for n in range(len(queries)) for _ in range(top)]
    assert table["rank"].tolist() == [*range(1, top + 1)] * len(queries)


@pytest.mark.parametrize("top", [1, 5, 200])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_as_all_distances_sorted(top, dtype):
    check(blobs(200).astype(dtype), blobs(7, seed=1).astype(dtype), top)


@pytest.mark.parametrize("queries", [0, 1, 10])
def test_many_vectors_few_nearest(queries):
    vectors, asked = blobs(3000), blobs(queries, seed=2)
    table = Index(vectors).search(asked, 3)
    distances = np.linalg.norm(vectors[None] - asked[:, None].astype("float64"), axis=-1)
    expected = np.argsort(distances, axis=1, kind="stable")[:, :3]
    assert table["name"].tolist() == expected.ravel().tolist()
    assert len(table) == 3 * queries


@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 100), (1e-9, 1)])
def test_close_together_and_far_from_0(scale, offset, approximate):
    vectors, queries = (blobs(n, seed=n) * np.float64(scale) + offset for n in (150, 4))
    check(vectors, queries, 6, approximate)


@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(dtype, scale) for dtype in ("float32", "float64") for scale in (1e-44, 1e-25, 1e19, 1e20)]
    + [("float64", scale) for scale in (1e-310, 1e-160, 1e60, 1e160, 1e307)],
)
def test_too_small_or_too_large_to_be_squared(dtype, scale, approximate):
    vectors, queries = ((blobs(n, seed=n) * np.float64(scale)).astype(dtype) for n in (150, 4))
    check(vectors, queries, 6, approximate)


@pytest.mark.parametrize("far", [1e6, 1e12, 1e37])
def test_one_that_lies_far_out(far):
    vectors = blobs(300)
    vectors[17] = far
    check(vectors, vectors[15:19], 4)
    if far < 1e37:  # else a graph in float32 takes the others for equal
        check(vectors, vectors[15:17], 4, approximate=True)


@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize("far", [1e6, 1e25, 1e38])
def test_a_query_that_lies_far_out(far, approximate):
    """Where distances differ by less than float64 can tell, the gallery's order counts."""
    vectors, queries = blobs(300), np.eye(3, 16, dtype="float32") * np.float32(far)
    exact, near = (Index(vectors, approximate=found) for found in (False, approximate))
    expected = [distance for _, distance in by_loop(vectors, queries, 4)]
    for found in (exact, near):
        np.testing.assert_allclose(found.search(queries, 4)["distance"], expected, rtol=1e-12)


def test_finds_itself_at_distance_0():
    vectors = blobs(300) + 7
    table = Index(vectors).search(vectors, 1)
    assert table["name"].tolist() == list(range(300))
    assert (table["distance"] == 0).all()


def test_ties_come_in_the_order_of_the_gallery():
    vectors = np.tile(blobs(5), (40, 1))
    table = Index(vectors).search(vectors[3], 12)
    assert table["name"].tolist() == list(range(3, 60, 5))
    assert Index(vectors[:, :1] * 0).search([1.0], 7)["name"].tolist() == list(range(7))
    bits = np.random.default_rng(0).integers(2, size=(2000, 1))
    found = Index(bits).search([0], 1500)["name"].tolist()
    assert found == sorted(range(2000), key=lambda place: bits[place, 0])[:1500]
    square = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    assert Index(square).search([0, 0], 4)["name"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("block", [1, 450, 2000])
def test_block_by_block_is_as_a_whole(block, monkeypatch):
    vectors, queries = np.repeat(blobs(100), 2, axis=0), blobs(9, seed=3)
    whole = Index(vectors).search(queries, 5)
    monkeypatch.setattr(index, "BLOCK", block)
    assert Index(vectors).search(queries, 5).equals(whole)


def test_a_large_gallery_needs_little_memory():
    vectors = blobs(100_000, 64)
    gallery = Index(vectors)
    gallery.search(vectors[0])  # what it keeps is made once
    tracemalloc.start()
    gallery.search(vectors[:300])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 90e6  # 300 rows of the table of all distances have 120 MB


def test_one_vector():
    table = Index([[3, 4]]).search([0, 0])
    assert table.to_dict("list") == {"query": [0], "rank": [1], "name": [0], "distance": [5.0]}


def test_more_than_there_are():
    gallery = Index(blobs(3))
    assert len(gallery) == 3
    assert gallery.search(blobs(2, seed=1), 10)["rank"].tolist() == [1, 2, 3] * 2


def test_no_query():
    table = Index(blobs(3)).search(np.zeros((0, 16)))
    assert list(table.columns) == COLUMNS
    assert len(table) == 0


@pytest.mark.parametrize(
    "names", [["a", "b", "c"], [(1, 2), None, 2.5], np.array([7, 8, 9]), iter("xyz")]
)
def test_names_of_any_kind(names):
    expected = list("xyz") if hasattr(names, "__next__") else list(names)
    vectors = np.eye(3)
    table = Index(vectors, names).search(vectors, 1)
    assert table["name"].tolist() == expected


def test_integers_and_lists():
    pixels = np.array([[0, 255], [250, 0]], "uint8")
    assert Index(pixels).search(pixels[::-1], 1)["name"].tolist() == [1, 0]
    assert Index(pixels).search([[0, 250]], 1)["distance"].tolist() == [5.0]


NAN = [[np.nan, 0], [0, 0], [np.inf, 1]]


@pytest.mark.parametrize(
    ("vectors", "names", "message"),
    [
        (np.zeros((0, 4)), None, r"expected a vector at least, got vectors of \(0, 4\)"),
        ([], None, r"expected vectors \(N, D\), got the shape \(0,\)"),
        (np.zeros((2, 3, 4)), None, r"expected vectors \(N, D\), got the shape \(2, 3, 4\)"),
        ([["a", "b"]], None, "expected vectors of real numbers, got <U1"),
        (NAN, None, "expected finite vectors, but 2 of 3 have NaN or infinity, .* number 0"),
        (np.eye(3), ["a", "b"], "expected names of 3 vectors, got 2"),
        (np.eye(3), [], "expected names of 3 vectors, got 0"),
        (np.eye(3), 5, "expected names, one for each of 3 vectors, got 5"),
    ],
)
def test_what_is_no_gallery_is_refused(vectors, names, message):
    with pytest.raises(ValueError, match=message):
        Index(vectors, names)


@pytest.mark.parametrize(
    ("queries", "top", "message"),
    [
        ([1, 2, 3], 5, "expected queries of 2 numbers, .* got queries of 3"),
        ([], 5, "expected queries of 2 numbers, .* got queries of 0"),
        (np.zeros((1, 2, 2)), 5, r"expected queries \(N, D\), got the shape \(1, 2, 2\)"),
        (NAN[::-1], 5, "expected finite queries, but 2 of 3 .* number 0"),
        ([1, 2], 0, "top must be a whole number, 1 at least, not 0"),
        ([1, 2], True, "top must be a whole number, 1 at least, not True"),
        ([1, 2], 2.5, "top must be a whole number, 1 at least, not 2.5"),
    ],
)
def test_what_is_no_query_is_refused(queries, top, message):
    with pytest.raises(ValueError, match=message):
        Index(np.eye(2)).search(queries, top)


@pytest.fixture
def found_by():
    """Places (M, top), exactly and by the graph, of one gallery."""
    pytest.importorskip("faiss")

    def found(vectors, queries, top=10):
        pair = (Index(vectors, approximate=approximate) for approximate in (False, True))
        return [one.search(queries, top) for one in pair]

    return found


def test_approximate_finds_nearly_all(found_by):
    exact, near = found_by(blobs(3000, 32, 60), blobs(200, 32, 60, seed=1))
    same = exact[["query", "name"]].merge(near[["query", "name"]])
    assert len(same) >= 0.95 * len(exact)
    assert list(near.columns) == COLUMNS
    both = exact.merge(near, on=["query", "name"])
    np.testing.assert_array_equal(both["distance_x"], both["distance_y"])
    assert near.groupby("query")["distance"].apply(lambda d: d.is_monotonic_increasing).all()


def test_approximate_of_vectors_far_from_0(found_by):
    vectors = blobs(1000).astype("float64") * 1e-3 + 50
    exact, near = found_by(vectors, vectors[:100], 1)
    assert (near["distance"] == 0).all()
    assert near["name"].tolist() == exact["name"].tolist()


def test_approximate_of_equal_vectors_and_of_nearly_all(found_by):
    vectors, queries = np.repeat(blobs(4), 100, axis=0), blobs(3, seed=1)
    for top in (390, 400, 500):
        exact, near = found_by(vectors, queries, top)
        np.testing.assert_array_equal(exact["distance"], near["distance"])
        assert not near[["query", "name"]].duplicated().any()


def test_approximate_errors_are_the_same():
    pytest.importorskip("faiss")
    gallery = Index(np.eye(2), approximate=True)
    with pytest.raises(ValueError, match="queries of 2 numbers"):
        gallery.search([1, 2, 3])
    assert len(gallery.search(np.zeros((0, 2)))) == 0


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r'faiss-cpu: pip install "keras_vision\[search\]"'):
        Index(np.eye(2), approximate=True)
    assert len(Index(np.eye(2)).search([0, 1])) == 2


@pytest.mark.parametrize("approximate", [False, True])
def test_saved_and_loaded(approximate, tmp_path):
    if approximate:
        pytest.importorskip("faiss")
    vectors, queries = blobs(50), blobs(4, seed=1)
    first = Index(vectors, [f"photos/{n}.jpg" for n in range(50)], approximate)
    first.save(tmp_path / "gallery.npz")
    again = Index.load(str(tmp_path / "gallery.npz"))
    assert again.search(queries).equals(first.search(queries))
    assert (again.graph is not None) == approximate
    assert again.vectors.dtype == "float32"
    assert [path.name for path in tmp_path.iterdir()] == ["gallery.npz"]


def test_names_as_datasets_have_them():
    """A column of `Rows`, or the bytes of its examples."""
    for names in (tf.constant(["a", "\xe9"]), [b"a", "\xe9".encode()]):
        assert Index(np.eye(2), names).search([0, 1])["name"].tolist() == ["\xe9", "a"]


def test_saved_names_are_strings_but_for_the_defaults(tmp_path):
    Index(np.eye(2), [(1, 2), None]).save(tmp_path / "named.npz")
    Index(np.eye(2)).save(tmp_path / "numbered.npz")
    named, numbered = (Index.load(tmp_path / f"{n}.npz") for n in ("named", "numbered"))
    assert named.search([1, 0])["name"].tolist() == ["(1, 2)", "None"]
    assert numbered.search([0, 1])["name"].tolist() == [1, 0]


def test_no_file_is_overwritten_unasked(tmp_path):
    path = tmp_path / "gallery.npz"
    Index(np.eye(2)).save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"gallery.npz' exists already: .*overwrite=True"):
        Index(np.eye(3)).save(path)
    assert path.read_bytes() == before
    Index(np.eye(3)).save(path, overwrite=True)
    assert len(Index.load(path)) == 3


def test_the_whole_file_or_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        Index(np.eye(2)).save(tmp_path / "gallery.npz")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"make the folder first, Path\(.*\).mkdir"):
        Index(np.eye(2)).save(tmp_path / "no folder" / "gallery.npz")


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected the suffix .npz, got '.npy'"):
        Index(np.eye(2)).save(tmp_path / "gallery.npy")


def test_other_files_are_no_index(tmp_path):
    Index(np.eye(2)).save(tmp_path / "whole.npz")
    packed = ZipFile(tmp_path / "whole.npz").read("vectors.npy")
    with ZipFile(tmp_path / "packed.npz", "w") as file:
        file.writestr("vectors.npy", packed)
    # The way of packing is told in two places; there is no way 99.
    data = bytearray((tmp_path / "packed.npz").read_bytes())
    data[8] = data[data.index(b"PK\1\2") + 10] = 99
    (tmp_path / "packed.npz").write_bytes(data)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-30])
    (tmp_path / "text.npz").write_bytes(b"no index")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "others.npz", weights=np.eye(2))
    np.savez(tmp_path / "pickled.npz", vectors=np.array([{}]))
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.eye(2))
    for name in ("cut", "text", "empty", "others", "pickled", "array", "packed"):
        with pytest.raises(ValueError, match=rf"{name}.npz' is no index that was saved"):
            Index.load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError):
        Index.load(tmp_path / "missing.npz")


def test_a_graph_that_is_none_or_of_others(tmp_path):
    faiss = pytest.importorskip("faiss")
    other = faiss.serialize_index(Index(np.eye(3), approximate=True).graph)
    for name, graph in {"cut": other[:-9], "other": other}.items():
        np.savez(tmp_path / f"{name}.npz", vectors=np.eye(2, 3), graph=graph)
        with pytest.raises(ValueError, match=rf"{name}.npz' is no index that was saved"):
            Index.load(tmp_path / f"{name}.npz")
