import build_notebooks
import pytest


def lesson(*solution):
    lines = ["before = 1", "# [solution: what is it?]", *solution, "# [end]", "after = 2"]
    return "\n".join("    " + line for line in lines)


@pytest.mark.parametrize(
    ("solution", "names"),
    [
        (["secret = 42"], "secret"),
        (["secret, other = 42, 43"], "secret, other"),
        (["table[0, 'x'] = 42"], "table[0, 'x']"),
        (["model.rate = 42"], "model.rate"),
        (["secret: int = 42"], "secret"),
        (["total += 42"], "total"),
        (["def secret(x):", "    y = x", "    return y + 42"], "secret"),
        (["for number in range(42):", "    total = number"], "number"),
        (["secret = (", "    42", ")"], "secret"),
        (["import math", "secret = math.sqrt(42)", "secret = secret + 42"], "secret"),
    ],
)
def test_a_solution_of_any_form_becomes_a_blank(solution, names):
    start, whole = (build_notebooks.versions(lesson(*solution))[k] for k in ("start", "solution"))
    assert start.splitlines() == [
        "    before = 1",
        "    # Your turn: what is it?",
        f"    # {names} = ",
        f"    raise NotImplementedError({f'{names} = ? what is it?'!r})",
        "    after = 2",
    ]
    assert whole.splitlines() == [f"    {x}" for x in ("before = 1", *solution, "after = 2")]


@pytest.mark.parametrize(
    "source",
    [
        "# [solution: q]\nx = 1",
        "x = 1\n# [end]",
        "# [solution: q]\n# [solution: q]\nx = 1\n# [end]",
        "# [solution: q]\nx = 1\n# [end]\n# [end]",
        "# [Solution: q]\nx = 1\n# [end]",
        "# [solution]\nx = 1\n# [end]",
        "# [solution: q]\nx = 1  # [end]\n",
        "# [solution: q]\nprint(1)\n# [end]",
        "# [solution: q]\n# only words\n# [end]",
        "# # [solution: q]\n# words\n# # [end]",
    ],
)
def test_marks_that_would_leak_are_refused(source):
    with pytest.raises(ValueError, match=r"no mark|has no # \[end\]|nothing is asked"):
        build_notebooks.versions(source)
