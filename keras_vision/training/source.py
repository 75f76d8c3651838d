"""Digests of source code, which see a change of what it does and none of how it looks."""

import ast
import hashlib
import inspect

LIBRARIES = {"keras", "numpy", "tensorflow"}  # their code changes with their version only
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def digest(content):
    return hashlib.sha256(content).hexdigest()[:12]


def code(thing):
    """A digest of the source of a function or class; None of a library's, and where it is gone.

    Comments, layout and docstrings are no part of it.
    """
    if (thing.__module__ or "").partition(".")[0] in LIBRARIES:
        return None
    try:
        node = parsed(thing)
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    for part in ast.walk(node):
        if isinstance(part, NAMED) and ast.get_docstring(part) is not None:
            part.body = part.body[1:] or [ast.Pass()]
    return digest(ast.unparse(node).encode())


def parsed(thing):
    """The syntax tree of a function or class; ValueError where it is not in its file any more."""
    lines, number = inspect.findsource(thing)
    compiled = getattr(thing, "__code__", None)
    first = compiled.co_firstlineno if compiled else number + 1
    found = [
        node
        for node in ast.walk(ast.parse("".join(lines)))
        if isinstance(node, (*NAMED, ast.Lambda))
        and first_line(node) == first
        and getattr(node, "name", "<lambda>") == thing.__name__
        and (not isinstance(node, ast.Lambda) or holds(node.body, compiled))
    ]
    return min(found, key=lambda node: len(ast.unparse(node)))


def first_line(node):
    return min(part.lineno for part in [*getattr(node, "decorator_list", ()), node])


def holds(body, compiled):
    """Whether a lambda's compiled code is of this body: there may be several on a line."""
    start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    places = [place for place in compiled.co_positions() if None not in place and place[3]]
    return all(
        start <= (line, column) and (end_line, end_column) <= end
        for line, end_line, column, end_column in places
    )
