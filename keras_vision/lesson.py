"""What all lessons share: their start from a shell, and the checks of what learners answer."""

import argparse
import inspect
import os
import re
import sys
import traceback
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np


def run(main, full, expected, argv=None):
    """Runs a lesson from a shell, and prints what was measured beside what was expected.

    main: the lesson, `main(data=..., out=..., ...)`; each of its other settings, of the kind that
        its default has, is an option of that name. Returns {name: what was measured}.
    full: the settings of --full. Where `data` is not among them, --full needs --data.
    expected: {name: (value, tolerance)} of the fast form.

    Exits with a line where data, settings or answers are wrong, or the learner stops it.
    """
    path = Path(inspect.getsourcefile(main))
    settings, is_full = arguments(main, full, path.stem, argv)
    if "KERAS_DISTRIBUTION_PROCESS_ID" in os.environ:  # one of several machines, on JAX
        import keras

        keras.distribution.initialize()
    try:
        measured = main(**settings)
    except KeyboardInterrupt as stop:
        sys.stdout.flush()
        print(f"\n{path.stem}: {str(stop) or 'stopped'}", file=sys.stderr, flush=True)
        os._exit(130)  # threads of TensorFlow would print tracebacks of their own
    except Exception as error:
        words = told(error, path)
        if words is None:
            raise
        sys.exit(f"{path.stem}: {words}")
    print("\nMeasured" if is_full else "\nMeasured, and expected:")
    for name, (value, tolerance) in expected.items():
        beside = "" if is_full else f"   {value:g} +- {tolerance:g}"
        print(f"  {name:45} {measured[name]:8.4f}{beside}")


@contextmanager
def printed_to(path):
    """What is printed meanwhile goes to the end of the file at `path`."""
    with Path(path).open("a") as file, redirect_stdout(file):
        yield


def arguments(main, full, stem, argv=None):
    """(settings of `main`, whether it is the full form)."""
    about = inspect.getmodule(main).__doc__ or ""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="all of the real dataset")
    parser.add_argument("--data", type=Path, help="where that is, for --full")
    parser.add_argument("--out", help=f"folder of pictures and runs: out/{stem}, or ..._full")
    parameters = inspect.signature(main).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.name not in ("data", "out")}
    for name, default in defaults.items():
        others = f", with --full {full[name]}" if name in full else ""
        parser.add_argument(f"--{name}", type=type(default), help=f"{default}{others}")
    args = vars(parser.parse_args(argv))
    given = {name: value for name, value in args.items() if value is not None}
    is_full = given.pop("full")
    if "data" in given and not is_full:
        parser.error("--data is for --full; the fast form has its own")
    if is_full and "data" not in {**full, **given}:
        found = re.search(r"^Data:((?:\n? .*)+)", about, re.MULTILINE)
        parser.error(f"--full needs --data DIR. {' '.join(found[1].split()) if found else ''}")
    out = {"out": f"out/{stem}_full" if is_full else f"out/{stem}"}
    return {**out, **(full if is_full else {}), **given}, is_full


def told(error, path):
    """What an error tells the user of the lesson at `path`; None where it tells of a bug.

    Messages for users are raised by this package, the lesson, and the file system; those of a
    pipeline lie in TensorFlow's words.
    """
    in_pipeline = re.search(r"assertion failed: \[(.+)\]", str(error))
    if in_pipeline:
        return in_pipeline[1]
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    place, package = Path(frame.f_code.co_filename), Path(__file__).parent
    by_us = place.is_relative_to(package) or place == path
    kinds = (ArithmeticError, AssertionError, ImportError, RuntimeError, ValueError)
    said = isinstance(error, OSError) or (by_us and isinstance(error, kinds))
    return str(error) if said else None


def check(answer, right, hint):
    """Raises AssertionError with the hint unless the answer is right, whatever it may be.

    right: the numbers that it should be, in a list, a tuple or an array, to about two figures
        where they are not whole; or a function that tells whether the answer is right, and may
        fail where it is absurd.
    """
    try:
        with np.errstate(all="ignore"):
            verdict = right(answer) if callable(right) else same(answer, right)
            passed = np.ndim(verdict) == 0 and bool(verdict)
    except Exception:  # an answer may be anything
        passed = False
    if not passed:
        raise AssertionError(hint)


def same(answer, right):
    """Whether these are the same numbers, or truth values, in the same shape."""
    answer, right = np.asarray(answer), np.asarray(right)
    if answer.dtype.kind not in "biuf" or (answer.dtype.kind == "b") != (right.dtype.kind == "b"):
        return False
    tolerance = 0.01 if right.dtype.kind == "f" else 0
    return answer.shape == right.shape and np.allclose(answer, right, rtol=tolerance, atol=1e-6)
