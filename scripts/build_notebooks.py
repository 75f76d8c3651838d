"""Makes two notebooks of each lesson: one to work through, and one with the solutions.

    python scripts/build_notebooks.py [--out notebooks]

A lesson is a script in percent-cell format whose cells lie in `main`. In its notebooks the
settings of `main` become the first cell. A region

    # [solution: what the learner is asked]
    answer = 42
    # [end]

is replaced in the notebook to work through by an error that asks; the checks behind it stay.
"""

import argparse
import ast
import re
import textwrap
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parent.parent
SOLUTION = re.compile(r"^( *)# \[solution: (.*?)\]\n.*?^ *# \[end\]\n", re.MULTILINE | re.DOTALL)


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
        "start": SOLUTION.sub(
            r'\1# Your turn: \2\n\1raise NotImplementedError("""\2""")\n', source
        ),
        "solution": re.sub(r"^ *# \[(solution: .*|end)\]\n", "", source, flags=re.MULTILINE),
    }


def as_cells(source):
    """A lesson's script -> percent cells at the top level, which jupytext reads."""
    tree = ast.parse(source)
    lines = source.splitlines()
    lesson = next(node for node in tree.body if getattr(node, "name", "") == "main")
    head = ast.get_docstring(tree)
    # What stands between docstring and __main__ and is not the lesson: imports and helpers.
    rest = [node for node in tree.body[1:] if node is not lesson and not isinstance(node, ast.If)]
    setup = "\n".join("\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in rest)
    names = [argument.arg for argument in lesson.args.args]
    values = map(ast.unparse, lesson.args.defaults)
    settings = "\n".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
    # The body begins behind the signature, with the comments of its first cell, and ends before
    # the result is returned.
    last = lesson.body[-1]
    end = last.lineno - 1 if isinstance(last, ast.Return) else last.end_lineno
    first = next(i for i in range(lesson.lineno - 1, end) if "# %%" in lines[i])
    body = textwrap.dedent("\n".join(lines[first:end]))
    markdown = "\n".join(f"# {line}" for line in ["```", *head.splitlines(), "```"])
    return f"# %% [markdown]\n{markdown}\n\n# %%\n{setup}\n\n# %%\n{settings}\n\n{body}\n"


if __name__ == "__main__":
    main()
