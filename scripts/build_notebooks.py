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
BEGIN, END = re.compile(r" *# \[solution: (.+)\]"), re.compile(r" *# \[end\]")
LIKE_A_MARK = re.compile(r"\[ *(solution\b|end *\])", re.IGNORECASE)


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
    start, solution = [], []
    for question, lines in regions(source):
        start += lines if question is None else blank(question, lines)
        solution += lines
    return {"start": "\n".join(start) + "\n", "solution": "\n".join(solution) + "\n"}


def regions(source):
    """[(question, lines)] of the whole source in turn; the question is None outside of solutions.

    Raises ValueError for marks that do not pair up: a solution must not slip through.
    """
    found, inside = [(None, [])], False
    for number, line in enumerate(source.splitlines(), 1):
        begin, end = BEGIN.fullmatch(line), END.fullmatch(line)
        if (begin and not inside) or (end and inside):
            found.append((begin and begin[1], []))
            inside = not inside
        elif LIKE_A_MARK.search(line):
            raise ValueError(f"line {number}: no mark of a solution, or out of place: {line}")
        else:
            found[-1][1].append(line)
    if inside:
        raise ValueError("the last solution has no # [end]")
    return found


def blank(question, lines):
    """What stands in place of a solution's lines in the notebook to work through."""
    names = asked(ast.parse(textwrap.dedent("\n".join(lines))))
    if not names:
        raise ValueError(f"nothing is asked for: {question}")
    indent = re.match(" *", lines[0])[0]
    hint = f"{', '.join(names)} = ? {question}"
    asks = (
        f"# Your turn: {question}",
        f"# {', '.join(names)} = ",
        f"raise NotImplementedError({hint!r})",
    )
    return [indent + line for line in asks]


def asked(tree):
    """What the statements of a solution give a value to: names, places, functions."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            found += [ast.unparse(target).strip("()")] if target else []
    return list(dict.fromkeys(found))


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
