"""The package from a shell: `python -m keras_vision colorize *.jpg --out coloured/`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from tqdm import tqdm


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m keras_vision", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    colorize = commands.add_parser("colorize", help="colour photos by nothing but their lightness")
    colorize.set_defaults(run=run_colorize)
    colorize.add_argument("photos", nargs="+", type=Path)
    colorize.add_argument("--out", required=True, type=Path, help="folder for the coloured photos")
    colorize.add_argument("--overwrite", action="store_true", help="replace what is there")
    colorize.add_argument("--weights", default="tiny_imagenet", help="a shipped name, or a file")
    colorize.add_argument("--temperature", type=float, default=0.38, help="0 vivid ... 1 greyish")
    colorize.add_argument("--size", type=int, default=64, help="of the photos in training")
    args = parser.parse_args(argv)
    return args.run(args)


def run_colorize(args):
    """Colours each photo under its own name; returns the exit status, 1 if any photo failed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is imported
    from keras_vision import colorization, images

    # Photos of several sizes compile the network anew, of which TensorFlow warns.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    targets = [args.out / with_known_suffix(photo, images.FORMATS) for photo in args.photos]
    try:
        check_targets(args, targets)
        args.out.mkdir(parents=True, exist_ok=True)
        model = colorization.build(weights=args.weights)
    except (OSError, ValueError) as error:
        return f"keras_vision: {error}"
    failed = 0
    for photo, target in zip(tqdm(args.photos, unit="photo"), targets, strict=True):
        try:
            coloured = colorization.colorize(model, photo, args.temperature, args.size)
            images.save(target, coloured, args.overwrite)
        except (OSError, ValueError) as error:
            tqdm.write(f"keras_vision: {error}", file=sys.stderr)
            failed += 1
    print(f"{len(targets) - failed} of {len(targets)} photos are in {args.out}")
    return int(failed > 0)


def with_known_suffix(photo, suffixes):
    """The photo's file name, as PNG where we cannot write its own format."""
    return photo.name if photo.suffix.lower() in suffixes else f"{photo.stem}.png"


def check_targets(args, targets):
    """Refuses, before any work is done, what would lose a photo."""
    for photo, target in zip(args.photos, targets, strict=True):
        if target.exists() and not args.overwrite:
            raise FileExistsError(
                f"{target} exists already: choose another --out, or --overwrite."
            )
        if target.resolve() == photo.resolve():
            raise ValueError(
                f"{photo} would be overwritten by its coloured self: choose another --out."
            )
        if targets.count(target) > 1:
            raise ValueError(f"Several of the photos would become {target}: rename one of them.")


if __name__ == "__main__":
    sys.exit(main())
