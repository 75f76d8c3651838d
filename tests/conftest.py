"""Set-up that all tests share."""

import os
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf

# Two replicas need two devices, and those must be named before TensorFlow first computes.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`@pytest.mark.quick("a", "b")`: of a test's cases these are quick, and all others slow."""
    for item in items:
        if any(item.callspec.id not in mark.args for mark in item.iter_markers("quick")):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def two_replicas():
    """One for all tests: TensorFlow mixes up the messages of two such strategies in a process."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def data_root():
    """The folder of the real datasets, for tests marked `realdata`."""
    root = os.environ.get("KERAS_VISION_DATA")
    if not root:
        pytest.skip("KERAS_VISION_DATA is not set")
    return Path(root)


@pytest.fixture
def server(monkeypatch):
    """Serves `data` at `url`, and notes each Range that is `asked` for.

    It can be told to know no `ranges`, hang up (`drop`) after so many bytes, keep the `length` to
    itself or to send another, answer with an `error`, `shift` the place where it says that it goes
    on, and stop `halfway`, which it tells, until it may `go` on.
    """
    monkeypatch.setenv("no_proxy", "*")
    state = SimpleNamespace(data=b"", asked=[], halfway=None, go=threading.Event())
    state.ranges, state.drop, state.length, state.error, state.shift = True, None, True, 0, 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with suppress(ConnectionError):  # a client that was killed
                answer(self, state)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}"
        yield state
        state.go.set()
        http.shutdown()
        thread.join()


def answer(handler, state):
    state.asked.append(handler.headers["Range"])
    asked = state.asked[-1] if state.ranges else None
    size = len(state.data)
    begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    beyond = asked and begin >= size
    if state.error or beyond:
        return handler.send_error(state.error or 416)
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {begin + state.shift}-{size - 1}/{size}")
    if state.length:
        length = size - begin if state.length is True else state.length
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    if state.halfway:
        handler.wfile.write(state.data[begin : begin + 100_000])
        begin += 100_000
        state.halfway.set()
        state.go.wait()
    return handler.wfile.write(state.data[begin : state.drop])


@pytest.fixture
def unused_port():
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        return closed.server_port


@pytest.fixture
def save_torch():
    """A function (path, {name: float32 array}) that writes a state dict as PyTorch does.

    In the old format, which needs no more than a few instructions of a pickle. PyTorch, where it
    is installed, reads it: tests/test_torch_file.py.
    """

    def save(path, state):
        items, storages = b"", b""
        for number, (name, array) in enumerate(state.items()):
            array = np.ascontiguousarray(array, "float32")
            key, strides = str(number), [step // 4 for step in array.strides]
            storage = b"(%sctorch\nFloatStorage\n%s%s%sNtQ" % (
                *(text("storage"), text(key), text("cpu")),
                whole(array.size),
            )
            items += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(%s%s%s%s\x89}tR" % (
                *(storage, whole(0)),
                numbers(array.shape),
                numbers(strides),
            )
            storages += struct.pack("<q", array.size) + array.tobytes()
        keys = b"".join(text(str(number)) for number in range(len(state)))
        head = (
            b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
            whole(1001) + b".",
            b"}%s\x88s." % text("little_endian"),
        )
        pickles = (*head, b"ccollections\nOrderedDict\n)R(%su." % items, b"](%se." % keys)
        path.write_bytes(b"".join(b"\x80\x02" + pickle for pickle in pickles) + storages)
        return path

    def text(string):
        return b"X" + struct.pack("<I", len(string)) + string.encode()

    def whole(number):
        return b"J" + struct.pack("<i", number)

    def numbers(values):
        return b"(%st" % b"".join(map(whole, values))

    return save
