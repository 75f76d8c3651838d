"""Puts the speed tables into the documentation, from the .csv files that the benchmarks write.

    python scripts/build_tables.py [FILE.md ...]
    python scripts/build_tables.py --check

Between the lines

    <!-- table: colorization.csv -->
    <!-- end -->

of README.md and docs/*.md, or of the files named, goes the table of docs/colorization.csv, which
`python scripts/bench_colorization.py --out docs/colorization.csv` writes. --check changes nothing
and fails if a table is stale.
"""

import argparse
import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
TABLE = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
# What `bench.rows` yields; any other column is a fact about the whole table.
COLUMNS = [
    *("work", "precision", "ours ms", "peer ms"),
    *("ours per s", "peer per s", "ratio", "peer"),
]
HEAD = "| work | precision | ours | peer | ratio |\n|---|---|---|---|---|\n"


def main(argv=None):
    """Returns 0, or 1 if --check finds a stale table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="README.md and docs/*.md if none")
    parser.add_argument("--check", action="store_true", help="only tell which tables are stale")
    parser.add_argument("--tables", type=Path, default=ROOT / "docs", help="folder of the .csv")
    args = parser.parse_args(argv)
    files = args.files or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    try:
        stale = sum(update(path, args.tables, args.check) for path in files)
    except (OSError, ValueError) as error:
        raise SystemExit(f"build_tables: {error}") from error
    return int(args.check and stale > 0)


def update(path, tables, check):
    """Renews the tables of a .md file, unless `check`, and tells which; returns how many."""
    text = path.read_text(encoding="utf-8")
    places = list(TABLE.finditer(text))
    if text.count("<!-- table:") != len(places):
        raise ValueError(f"{path}: expected lines <!-- table: x.csv --> and <!-- end --> in turn")
    contents = {name: markdown(tables / name) for name in (place[2] for place in places)}
    stale = [place[2] for place in places if place[3] != contents[place[2]]]
    if stale and not check:
        path.write_text(TABLE.sub(lambda p: p[1] + contents[p[2]] + p[4], text), encoding="utf-8")
    for name in stale:
        fix = "is stale: run python scripts/build_tables.py" if check else "is renewed"
        print(f"{path}: the table of {name} {fix}")
    return len(stale)


def markdown(path):
    """The table of a .csv in Markdown, and below it what is known of the machine."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: a benchmark's --out writes it")
    table = pd.read_csv(path)
    missing = [name for name in COLUMNS if name not in table]
    if missing or table.empty:
        raise ValueError(f"{path}: expected rows of {', '.join(COLUMNS)}, no {missing or 'row'}")
    rows = "".join(line(row) for row in table.to_dict("records"))
    return f"\n{HEAD}{rows}\n{caption(table.drop(columns=COLUMNS).iloc[0])}\n\n"


def line(row):
    """A row in Markdown. Of a peer such as "PyTorch autocast, channels_last" the head is told."""
    ours, peer = amount(row, "ours"), f"{amount(row, 'peer')} ({row['peer'].split(',')[0]})"
    return f"| {row['work']} | {row['precision']} | {ours} | {peer} | {row['ratio']:.2f} |\n"


def amount(row, side):
    """The time of a step, or what a pipeline yields in a second."""
    if "pipeline" in row["work"]:
        return f"{number(row[f'{side} per s'])} /s"
    milliseconds = row[f"{side} ms"]
    if milliseconds < 2000:
        return f"{number(milliseconds)} ms"
    return f"{number(milliseconds / 1000)} s"


def number(value):
    """Three digits, or all of them before the point: 0.123, 12.3, 12,345."""
    return f"{value:.3g}" if value < 99.95 else f"{value:,.0f}"


def caption(facts):
    """The machine and the versions as they are, the other facts with their names."""
    known = [facts[name] for name in ("machine", "versions") if name in facts]
    rest = [f"{name} {fact}" for name, fact in facts.items() if fact not in known]
    return f"*{'; '.join([*known, *rest])}*"


if __name__ == "__main__":
    raise SystemExit(main())
