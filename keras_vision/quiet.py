"""Import this first, and TensorFlow keeps to itself what says nothing to a user.

Two lines come from its libraries as they are loaded, before any setting is read. A third says
that a network is compiled anew for photos of another size. All else that it has to say, and all
errors, pass.
"""

import logging
import os
import re
import signal
import sys
import warnings
from contextlib import contextmanager

from keras_vision._on_import import around_import

WORDS = re.compile(
    rb"^WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|^I0000 .* oneDNN custom operations are on\."
)
END = b"\0\n"


@contextmanager
def filtered():
    """Inside, the process' standard error passes through another process, which drops WORDS.

    Another process, because what TensorFlow says before it gives up must be seen.
    """
    try:
        terminal = os.dup(2)
    except OSError:  # it has been closed
        yield
        return
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Of forks beside threads: this child calls nothing that could wait for one of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(writing)
        forward(reading, terminal)
    os.dup2(writing, 2)
    try:
        yield
    finally:
        if sys.stderr:
            sys.stderr.flush()
        os.dup2(terminal, 2)
        os.write(writing, END)
        os.waitpid(child, 0)
        for descriptor in (terminal, reading, writing):
            os.close(descriptor)


def forward(reading, terminal):
    """Copies lines up to END, or until there is nobody who could write one. Does not return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other one
    with open(reading, "rb") as lines:
        for line in lines:
            if not WORDS.search(line):
                os.write(terminal, line.removesuffix(END))
            if line.endswith(END):
                break
    os._exit(0)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors
logging.getLogger("tensorflow").addFilter(lambda record: "retracing" not in str(record.msg))
if "tensorflow" not in sys.modules and hasattr(os, "fork"):
    around_import("tensorflow", filtered)
