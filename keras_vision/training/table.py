"""The table of variables that tensorpack prints before it trains."""

import math


def variable_table(model):
    """The trainable variables as text: name, shape and dim of each, then their total."""
    variables = model.trainable_variables
    rows = [(v.path, str(list(v.shape)), str(math.prod(v.shape))) for v in variables]
    rows = [("name", "shape", "dim"), *rows]
    names, shapes, dims = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [f"{name:{names}}  {shape:{shapes}}  {dim:>{dims}}" for name, shape, dim in rows]
    lines.insert(1, "-" * len(lines[0]))
    count = sum(math.prod(v.shape) for v in variables)
    # Variables are float32 under every policy: mixed precision only computes in less.
    lines.append(
        f"Total #vars={len(variables)}, #params={count:,}, size={count * 4 / 2**20:.2f}MB"
    )
    return "\n".join(lines)
