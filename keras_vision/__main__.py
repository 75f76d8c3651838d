"""The package from a shell: `python -m keras_vision colorize *.jpg --out coloured/`.

What a verb needs to know lies with its task, in a module with:

    WRITES             whether an answer is a picture, to be written to --out, or text
    TAKES              what it answers: the word for one, and what may stand for it
    arguments(parser)  adds what this verb takes besides those
    start(args)        loads the model; returns the function from a photo's path to its answer
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import importlib
import os
import sys
from pathlib import Path

from tqdm import tqdm

VERBS = {
    "classify": ("classification.shell", "say what photos show"),
    "colorize": ("colorization.shell", "colour photos by nothing but their lightness"),
    "denoise": ("restoration.shell", "take the noise from photos"),
    "detect": ("detection.shell", "find objects and draw their boxes"),
    "inspect": ("classification.inspection", "tabulate what the layers of networks do"),
    "search": ("metric_learning.shell", "find the photos of a folder that are most alike"),
    "segment": ("segmentation.shell", "say what each pixel of photos shows"),
}


def main(argv=None):
    """Answers each photo; returns the exit status, 1 if one failed, or why none was tried."""
    args = parsed(sys.argv[1:] if argv is None else argv)
    try:
        targets = planned(args.photos, args.out, args.overwrite) if args.shell.WRITES else None
        answer = args.shell.start(args)
    except (ImportError, OSError, ValueError) as error:
        return f"keras_vision: {error}"
    failed = 0
    unit = args.shell.TAKES[0]
    for number, photo in enumerate(tqdm(args.photos, unit=unit, leave=False, disable=None)):
        try:
            deliver(answer(photo), photo, targets and targets[number], args)
        except (OSError, ValueError) as error:
            tqdm.write(f"keras_vision: {error}", file=sys.stderr)
            failed += 1
    if targets:
        done = len(targets) - failed
        print(printable(f"{done} of {len(targets)} photos are in {args.out}"))
    return int(failed > 0)


def parsed(argv):
    """The arguments; of all verbs only the one that was called is imported, as args.shell."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_vision", description=__doc__.splitlines()[0]
    )
    commands = parser.add_subparsers(required=True, metavar="verb", dest="verb")
    for verb, (module, summary) in VERBS.items():
        command = commands.add_parser(verb, help=summary, description=summary)
        if verb not in argv[:1]:
            continue
        shell = importlib.import_module(f"keras_vision.{module}")
        command.set_defaults(shell=shell)
        word, words = shell.TAKES
        command.add_argument("photos", nargs="+", type=Path, metavar=word, help=words)
        if shell.WRITES:
            command.add_argument("--out", required=True, type=Path, help="folder for the answers")
            command.add_argument("--overwrite", action="store_true", help="replace what is there")
        shell.arguments(command)
    return parser.parse_args(argv)


def planned(photos, out, overwrite):
    """A target in `out` for each photo. Refuses, before any work is done, what would lose one."""
    from keras_vision import images

    targets = {}
    for photo in photos:
        target = out / with_known_suffix(photo, images.FORMATS)
        if target in targets:
            raise ValueError(
                f"{targets[target]} and {photo} would both become {target}: rename one of them."
            )
        targets[target] = photo
        if os.path.exists(target):
            if os.path.exists(photo) and os.path.samefile(photo, target):
                raise ValueError(f"{photo} would be overwritten: choose another --out.")
            if not overwrite:
                raise FileExistsError(
                    f"{target} exists already: choose another --out, or --overwrite."
                )
    out.mkdir(parents=True, exist_ok=True)
    return list(targets)


def with_known_suffix(photo, suffixes):
    """The photo's file name, as PNG where we cannot write its own format."""
    return photo.name if photo.suffix.lower() in suffixes else f"{photo.stem}.png"


def deliver(answer, photo, target, args):
    from keras_vision import images

    if target:
        images.save(target, answer, args.overwrite)
    else:
        tqdm.write(printable(f"{photo}: {answer}"))


def printable(text):
    """Names of files may hold bytes that are no text."""
    return text.encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode(
        sys.stdout.encoding or "utf-8"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("keras_vision: stopped; what is done stays.", file=sys.stderr)
        os._exit(130)  # threads of TensorFlow would print tracebacks of their own
