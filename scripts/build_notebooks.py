"""Makes two notebooks of each lesson: one to work through, and one with the solutions.

    python scripts/build_notebooks.py [--out notebooks]

A lesson is a script in percent-cell format whose cells lie in `main`. In its notebooks the
settings of `main` become the first cell. A region

    # [solution: what the learner is asked]
    answer = 42
    # [end]

becomes an error that asks, in the notebook to work through; the checks behind it stay.
"""

import argparse
import ast
import re
import textwrap
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parent.parent
SOLUTION = re.compile(
    r"^( *)# \[solution: ([^\n]*)\]\n *(\w+) = .*?^ *# \[end\]\n", re.MULTILINE | re.DOTALL
)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "notebooks")
    out = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "tutorials").glob("[0-9]*.py")):
        for kind, source in versions(path.read_text()).items():
            target = out / f"{path.stem}_{kind}.ipynb"
            jupytext.write(jupytext.reads(as_cells(source), fmt="py:percent"), target)
            print(target)


def versions(source):
    """The lesson's source as {"start": with blanks, "solution": without the marks}."""
    return {
        "start": SOLUTION.sub(blank, source),
        "solution": re.sub(r"^ *# \[(solution: .*|end)\]\n", "", source, flags=re.MULTILINE),
    }


def blank(solution):
    """What stands in place of a match of SOLUTION in the notebook to work through."""
    indent, question, name = solution.groups()
    hint = f"{name} = ? {question}"
    lines = f"# Your turn: {question}", f"# {name} = ", f"raise NotImplementedError({hint!r})"
    return "".join(f"{indent}{line}\n" for line in lines)


def as_cells(source):
    """A lesson's script -> percent cells at the top level, which jupytext reads."""
    tree, lines = ast.parse(source), source.splitlines()
    lesson = next(node for node in tree.body if getattr(node, "name", "") == "main")
    entry = next(node for node in tree.body if isinstance(node, ast.If))  # if __name__ == ...
    head = ["# ```", *(f"# {line}" for line in ast.get_docstring(tree).splitlines()), "# ```"]
    imports = lines[tree.body[0].end_lineno : lesson.lineno - 1]
    helpers = lines[lesson.end_lineno : entry.lineno - 1]
    names = [argument.arg for argument in lesson.args.args]
    settings = map(" = ".join, zip(names, map(ast.unparse, lesson.args.defaults), strict=True))
    # The body begins with the comments of its first cell, which are no node of the tree, and
    # ends before the result is returned.
    first = next(i for i in range(lesson.lineno, len(lines)) if "# %%" in lines[i])
    body = textwrap.dedent("\n".join(lines[first : lesson.body[-1].lineno - 1]))
    cells = ("# %% [markdown]", *head), ("# %%", *imports, *helpers), ("# %%", *settings), (body,)
    return "\n\n".join("\n".join(cell).rstrip() for cell in cells)


if __name__ == "__main__":
    main()
