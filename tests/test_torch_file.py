"""PyTorch itself is the oracle: where it is not installed, files that it has written."""

import os
import pickle
import random
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from keras_vision import torch_file

GOLDEN = Path(__file__).parent / "golden"
FORMATS = ("zip", "stream")
formats = pytest.mark.parametrize("kind", FORMATS)


def tensors(torch, kind):
    """One of every dtype, and what views of one storage can be."""
    base = torch.arange(24.0)
    found = {
        "whole": base,
        "slice": base[5:9],
        "transposed": base.view(4, 6).t(),
        "every third": base[1::3],
        "expanded": torch.ones(1).expand(3, 4),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    torch.manual_seed(0)
    dtypes = "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 bool complex64"
    later = "complex128 uint16 uint32 uint64 float8_e4m3fn float8_e5m2" if kind == "zip" else ""
    for name in (dtypes + " " + later).split():
        dtype = getattr(torch, name)
        signed = dtype.is_floating_point or dtype.is_complex or dtype.is_signed
        values = 50 * torch.randn(2, 3)
        found[name] = (values if signed else values.abs()).to(dtype)
    return found


def checkpoint(torch, kind):
    state = OrderedDict(tensors(torch, kind))
    return {
        "epoch": 3,
        "numbers": [2**70, -5, 1e-3, True, None],
        "text": "ä" * 300,
        "nested": ({}, (), [[]], {"size": torch.Size([1, 2])}),
        "state_dict": state,
        5: {"again": state["whole"]},
    }


def save(torch, value, path, kind):
    torch.save(value, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def assert_same(torch, expected, found):
    if isinstance(expected, torch.Tensor):
        assert isinstance(found, np.ndarray)
        assert (str(expected.dtype), tuple(expected.shape)) == (
            f"torch.{found.dtype}",
            found.shape,
        )
        if found.size:
            strides = tuple(step // found.itemsize for step in found.strides)
            assert tuple(expected.stride()) == strides
        as_bytes = expected.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        assert as_bytes.tobytes() == found.tobytes()
    elif isinstance(expected, dict):
        assert list(expected) == list(found)
        for key, value in expected.items():
            assert_same(torch, value, found[key])
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(found)
        assert isinstance(found, list) == isinstance(expected, list)
        for one, other in zip(expected, found, strict=True):
            assert_same(torch, one, other)
    else:
        assert type(expected) is type(found)
        assert expected == found


@formats
def test_equals_torch_load(tmp_path, kind):
    torch = pytest.importorskip("torch")
    path = save(torch, checkpoint(torch, kind), tmp_path / "a.pth", kind)
    found = torch_file.load(path)
    assert_same(torch, torch.load(path, weights_only=True), found)
    state = found["state_dict"]
    assert np.shares_memory(state["whole"], state["slice"])
    assert np.shares_memory(state["whole"], found[5]["again"])


@formats
def test_files_that_torch_wrote(kind):
    """As scripts/make_torch_golden.py left them."""
    with np.load(GOLDEN / "torch.npz") as golden:
        expected = dict(golden)
    found = torch_file.load(GOLDEN / f"torch_{kind}.pth")
    assert found["epoch"] == 3
    assert found["numbers"] == [2**70, -5, 1e-3, True, None]
    assert found["text"] == "ä" * 300
    assert found["nested"][3]["size"] == (1, 2)
    state = found["state_dict"]
    assert set(state) == {name.split("/")[1] for name in expected if name.startswith(kind)}
    for name, array in state.items():
        bits = expected[f"{kind}/{name}"]
        assert array.shape == bits.shape, name
        assert array.tobytes() == bits.tobytes(), name
    assert state["bfloat16"].dtype == ml_dtypes.bfloat16
    assert {str(array.dtype) for array in state.values()} >= set(DTYPES)
    assert np.shares_memory(state["whole"], state["every third"])


DTYPES = [
    "float16",
    "float32",
    "float64",
    "bfloat16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "bool",
    "complex64",
]


def test_the_writer_of_these_tests(tmp_path, save_torch):
    """What stands in for PyTorch in tests of importers is read by it, and by us."""
    state = {"a.weight": np.ones((2, 3)), "a.bias": np.float32([1, 2]), "scalar": np.float32(7)}
    path = save_torch(tmp_path / "a.pth", state)
    found = torch_file.state_dict(path)
    assert list(found) == list(state)
    for name, array in state.items():
        np.testing.assert_array_equal(found[name], array)
    torch = pytest.importorskip("torch")
    assert_same(torch, torch.load(path, weights_only=True), found)


@pytest.mark.parametrize("wrapped", [None, "state_dict", "model"])
def test_state_dicts(tmp_path, save_torch, wrapped):
    path = save_torch(tmp_path / "a.pth", {"a": np.ones(2)})
    if wrapped:
        whole = path.read_bytes()
        begin = whole.index(b"ccollections\nOrderedDict\n")
        end = whole.index(b"\x80\x02](")
        name = b"X" + len(wrapped).to_bytes(4, "little") + wrapped.encode()
        inner = b"}" + name + whole[begin : end - 1] + b"s."
        path.write_bytes(whole[:begin] + inner + whole[end:])
    assert list(torch_file.state_dict(path)) == ["a"]


def test_no_state_dict(tmp_path):
    path = tmp_path / "other.pth"
    golden = (GOLDEN / "torch_stream.pth").read_bytes()
    path.write_bytes(golden.replace(b"state_dict", b"state_dock"))
    with pytest.raises(ValueError, match=r"other\.pth holds no state dict"):
        torch_file.state_dict(path)


class Intruder:
    def __reduce__(self):
        return os.mkdir, ("intruder",)


@formats
def test_code_is_refused_by_name(tmp_path, monkeypatch, kind):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    for value, name in ((Intruder(), "mkdir"), (torch.nn.ReLU(), "activation.ReLU")):
        path = save(torch, {"a": torch.ones(1), "b": value}, tmp_path / "a.pth", kind)
        with pytest.raises(
            ValueError, match=rf"a\.pth is no .*it wants .*{name}, which no tensor"
        ):
            torch_file.load(path)
    assert not Path("intruder").exists()


def test_code_is_refused_without_torch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = (GOLDEN / "torch_stream.pth").read_bytes()
    for code in (
        pickle.dumps(Intruder(), 2),
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00touch\x85R.",
    ):
        Path("a.pth").write_bytes(code)
        with pytest.raises(ValueError, match=r"a\.pth is no .*it wants (posix|nt|os)\."):
            torch_file.load("a.pth")
        begin = whole.index(b"ccollections")
        Path("a.pth").write_bytes(whole[:begin] + code[2:] + whole[begin:])
        with pytest.raises(ValueError, match=r"a\.pth is no .*it wants (posix|nt|os)\."):
            torch_file.load("a.pth")
    assert not Path("intruder").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no whole PyTorch checkpoint"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "no whole PyTorch checkpoint but a web page"),
        (bytes(range(256)), "no whole PyTorch checkpoint"),
        (b"PK\x03\x04" + bytes(100), "no whole PyTorch checkpoint: File is not a zip file"),
        (pickle.dumps({"a": [1]}, 2), "a pickle of another kind|pickle exhausted"),
    ],
    ids=["empty", "web page", "noise", "zip", "pickle"],
)
def test_what_is_no_checkpoint(tmp_path, content, problem):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"other\.pth is .*({problem})"):
        torch_file.load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        torch_file.load(tmp_path / "nowhere.pth")


def test_sizes_beyond_the_file_are_not_believed(tmp_path, save_torch):
    """Neither a storage of 8 GB in a stream, nor what a compressed zip would swell to."""
    stream = save_torch(tmp_path / "stream.pth", {"a": np.ones(5)})
    count = b"J" + (5).to_bytes(4, "little")
    stream.write_bytes(stream.read_bytes().replace(count, b"J\xff\xff\xff\x7f"))
    bomb = tmp_path / "zip.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**8))
    tracemalloc.start()
    for path, problem in ((stream, "storage 0 is cut short"), (bomb, "it declares 100,000,000")):
        with pytest.raises(ValueError, match=problem):
            torch_file.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6


def mutated(whole, chance):
    """A file with bits flipped, bytes put in, a size declared huge, or its end cut off."""
    data, head = bytearray(whole), len(whole) * 2 // 3
    place = chance.randrange(head if chance.random() < 0.7 else len(whole))
    match chance.choice(["flip", "flip", "cut", "insert", "huge"]):
        case "flip":
            for _ in range(chance.choice([0, 0, 7])):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            data[place] ^= 1 << chance.randrange(8)
        case "cut":
            del data[place:]
        case "insert":
            data[place:place] = chance.randbytes(chance.randrange(1, 9))
        case "huge":
            data[place : place + 8] = b"\xff" * 7 + b"\x7f"
    return bytes(data)


@formats
@pytest.mark.quick("500-zip", "500-stream")
@pytest.mark.parametrize("count", [500, 5000])
def test_mutated_files(tmp_path, kind, count):
    """Each loads the same, or is refused by one error with its name; none takes much memory."""
    whole = (GOLDEN / f"torch_{kind}.pth").read_bytes()
    expected = torch_file.load(GOLDEN / f"torch_{kind}.pth")
    path, chance, refused = tmp_path / "a.pth", random.Random(count), 0
    tracemalloc.start()
    for _ in range(count):
        path.write_bytes(mutated(whole, chance))
        try:
            found = torch_file.load(path)
        except ValueError as error:
            told = str(error)
            assert str(path) in told
            assert "\n" not in told
            refused += 1
        else:  # a stream has no check sums, so that its names and values may be others
            assert kind == "stream" or repr(found) == repr(expected)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count / 2 < refused < count
    assert peak < 3e6  # most of it is Python's own


@formats
def test_mutated_files_are_as_torch_has_them(tmp_path, kind):
    torch = pytest.importorskip("torch")
    whole = (GOLDEN / f"torch_{kind}.pth").read_bytes()
    path, chance, both = tmp_path / "a.pth", random.Random(1), 0
    for _ in range(500):
        path.write_bytes(mutated(whole, chance))
        try:
            found, expected = torch_file.load(path), torch.load(path, weights_only=True)
        except Exception:
            continue
        assert_same(torch, expected, found)
        both += 1
    assert both > 20
