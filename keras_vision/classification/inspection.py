"""`python -m keras_vision inspect`: see `keras_vision.__main__`."""

from pathlib import Path

from keras_vision import arithmetic
from keras_vision.classification import networks

WRITES = False
TAKES = "network", f"{', '.join(networks.NETWORKS)}, or a .keras file"
SIDE = 224


def arguments(parser):
    parser.add_argument("--size", type=int, help=f"pixels a side ({SIDE}, or the network's own)")
    parser.add_argument("--csv", type=Path, help="a new file for the table of one network")


def start(args):
    if args.csv and len(args.photos) > 1:
        raise ValueError(f"--csv takes the table of one network, not of {len(args.photos)}")

    def answer(name):
        model = networks.build(str(name))
        open_sided = None in model.input_shape[1:]
        table = arithmetic.inspect(model, args.size or (SIDE if open_sided else None))
        if args.csv:
            with args.csv.open("x") as file:
                table.to_csv(file)
        return f"{readable(table)}\n\n{summary(arithmetic.totals(table))}\n"

    return answer


def readable(table):
    """The table as text, an empty place where there is nothing to tell."""
    shown = table.assign(
        macs=table["macs"].map("{:,}".format), parameters=table["parameters"].map("{:,}".format)
    ).drop(columns=["dilation", "memory"])
    return f"\n{shown.to_string()}"


def summary(totals):
    """The totals in words."""
    parameters, macs, memory = totals
    return (
        f"{parameters:,} parameters, {macs / 1e9:.3f} billion multiply-adds, "
        f"{memory / 2**20:.1f} MB of activations"
    )
