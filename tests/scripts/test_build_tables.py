import bench
import build_tables as script
import pandas as pd
import pytest

MARKED = "# Speed\n\n<!-- table: small.csv -->\n{}<!-- end -->\n\nWell.\n"
TABLE = """
| work | precision | ours | peer | ratio |
|---|---|---|---|---|
| training step | float32 | 1,266 ms | 1,343 ms (PyTorch autocast) | 1.06 |
| soft encoding | float32 | 9.4 ms | 78.6 ms (NearestNeighbors) | 8.36 |
| to the goal | bfloat16 | 22.9 s | 36.1 s (PyTorch autocast) | 1.58 |
| input pipeline | float32 | 4,964 /s | 4,889 /s (DataLoader) | 1.02 |

*An EPYC, 2 cores; keras 3.15.1, numpy 2.4.6; width 1; rounds 5*

"""


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    """Has small.csv, as the benchmarks write it, and page.md, whose table is still empty."""
    facts = {"machine": "An EPYC, 2 cores", "versions": "keras 3.15.1, numpy 2.4.6"}
    monkeypatch.setattr(bench, "about", lambda: facts)
    times = {
        "training step": (1.26601, "PyTorch autocast, channels_last", 1.3432, "float32", 32),
        "soft encoding": (0.0094, "NearestNeighbors, n_jobs=None", 0.0786, "float32", 32),
        "to the goal": (22.9, "PyTorch autocast, channels_last", 36.1, "bfloat16", 1),
        "input pipeline": (0.64464, "DataLoader, 2 workers", 0.65451, "float32", 3200),
    }
    works = [
        (work, precision, pictures, {"": ours}, {name: peer})
        for work, (ours, name, peer, precision, pictures) in times.items()
    ]
    # Contestants are their own times here.
    monkeypatch.setattr(bench, "medians", lambda contestants, *rest: contestants)
    rows = bench.rows(works, None, 1, 1)
    bench.report(rows, tmp_path / "small.csv", width=1.0, rounds=5)
    (tmp_path / "page.md").write_text(MARKED.format(""))
    capsys.readouterr()
    return tmp_path


def run(folder, *more):
    return script.main([str(folder / "page.md"), "--tables", str(folder), *more])


def test_a_table_is_put_in_its_place_once(folder, capsys):
    assert run(folder, "--check") == 1
    assert "page.md: the table of small.csv is stale: run python" in capsys.readouterr().out
    assert (folder / "page.md").read_text() == MARKED.format("")
    for told in ("small.csv is renewed", ""):
        assert run(folder) == 0
        assert (folder / "page.md").read_text() == MARKED.format(TABLE)
        assert told in (out := capsys.readouterr().out)
        assert bool(out) == bool(told)
    assert run(folder, "--check") == 0


def test_new_measurements_make_the_table_stale(folder, capsys):
    run(folder)
    table = pd.read_csv(folder / "small.csv")
    table.assign(machine="Another").to_csv(folder / "small.csv", index=False)
    assert run(folder, "--check") == 1
    run(folder)
    assert (folder / "page.md").read_text() == MARKED.format(
        TABLE.replace("An EPYC, 2 cores", "Another")
    )


@pytest.mark.parametrize(
    ("page", "match"),
    [
        ("<!-- table: other.csv -->\n<!-- end -->", r"other\.csv is missing"),
        ("<!-- table: empty.csv -->\n<!-- end -->", r"empty\.csv: expected rows of work, "),
        ("<!-- table: small.csv -->\n", "page.md: expected lines"),
        (2 * "<!-- table: small.csv -->\n" + "<!-- end -->", "page.md: expected lines"),
        ("<!-- table: small.csv --> <!-- end -->", "page.md: expected lines"),
    ],
)
def test_what_cannot_be_filled_is_told_and_left_alone(folder, page, match):
    (folder / "empty.csv").write_text("work,precision\n")
    (folder / "page.md").write_text(page)
    with pytest.raises(SystemExit, match=match):
        run(folder)
    assert (folder / "page.md").read_text() == page


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (9.4, "9.4"), (99.96, "100"), (822.4, "822"), (1266.1, "1,266")],
)
def test_number(value, text):
    assert script.number(value) == text


def test_our_own_tables_are_up_to_date():
    assert script.main(["--check"]) == 0
