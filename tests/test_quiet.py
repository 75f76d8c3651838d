"""A stand-in for TensorFlow says what the real one does, and more."""

import os
import subprocess
import sys

import pytest

LINES = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
W0000 00:00:17.1 1 gpu.cc:1] a real warning
I0000 00:00:17.2 1 port.cc:153] oneDNN custom operations are on. You may see ...
"""
STAND_IN = """
import os, sys
from contextlib import suppress
with suppress(OSError):
    os.write(2, {lines!r})
print("from Python", file=sys.stderr)
{then}
"""


def said(folder, then="pass", code="import keras_vision.quiet, tensorflow", closed=""):
    """(exit status, what came to standard error) where `then` follows those lines."""
    stand_in = STAND_IN.format(lines=LINES.encode(), then=then)
    (folder / "tensorflow.py").write_text(stand_in)
    command = f'exec "{sys.executable}" -c "{code}" {closed}'
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


KEPT = "W0000 00:00:17.1 1 gpu.cc:1] a real warning\nfrom Python\n"


def test_only_those_words_are_dropped(tmp_path):
    after = "import keras_vision.quiet, tensorflow, os; os.write(2, b'oneDNN custom')"
    assert said(tmp_path, code=after) == (0, KEPT + "oneDNN custom")


def test_without_it_they_come(tmp_path):
    assert said(tmp_path, code="import tensorflow") == (0, LINES + "from Python\n")


@pytest.mark.parametrize(
    ("then", "status", "last"),
    [
        ("raise ImportError('no AVX')", 1, "ImportError: no AVX\n"),
        ("os.write(2, b'no AVX'); os.abort()", -6, "no AVX"),
        ("os.write(2, b'half a line')", 0, "half a line"),
    ],
)
def test_errors_are_heard(tmp_path, then, status, last):
    found, words = said(tmp_path, then)
    assert found == status
    assert words.startswith(KEPT)
    assert words.endswith(last)


def test_a_closed_terminal(tmp_path):
    assert said(tmp_path, closed="2>&-") == (0, "")


def test_compiling_for_another_size_is_no_news(tmp_path):
    words = "import logging; log = logging.getLogger('tensorflow').warning; log(%r); log(%r)"
    heard = words % ("5 out of the last 5 calls triggered tf.function retracing", "a real one")
    assert said(tmp_path, code=f"import keras_vision.quiet; {heard}") == (0, "a real one\n")


@pytest.mark.slow
@pytest.mark.parametrize("first", ["keras", "tensorflow", "keras_vision.colorization"])
def test_tensorflow_itself(first):
    code = f"import keras_vision.quiet, {first}, tensorflow as tf; tf.constant(1) + 1"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
