import subprocess
import sys
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "evaluate_colorization.py"


@pytest.mark.realdata
def test_the_shipped_networks_are_as_good_as_the_readme_says(data_root):
    prior = data_root / "colorization" / "resources" / "prior_probs.npy"
    command = [sys.executable, SCRIPT, data_root / "tiny-imagenet-200", "--prior", prior]
    printed = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    table = pd.read_csv(StringIO(printed.stdout), sep=r"\s{2,}", engine="python")
    grey, l2, rebalanced = (table.loc[name] for name in ("all grey", "L2", "rebalanced"))
    assert rebalanced["rebalanced AuC"] > grey["rebalanced AuC"] + 4.2
    assert rebalanced["rebalanced AuC"] > l2["rebalanced AuC"] + 0.9
    assert rebalanced["AuC"] > grey["AuC"] - 2.7
    assert 0.6 < l2["chroma ratio"] + 0.2 < rebalanced["chroma ratio"] < 1.4
    readme = (SCRIPT.parents[1] / "README.md").read_text()
    for name, row in table.iterrows():
        cells = " | ".join(f"{value:.2f}" for value in row)
        assert f"| {name} | {cells} |" in readme
