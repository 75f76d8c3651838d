import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "evaluate_colorization.py"
NAMES = ("all grey", "L2", "rebalanced")


@pytest.mark.realdata
def test_the_shipped_networks_are_as_good_as_their_page_says(data_root):
    prior = data_root / "colorization" / "resources" / "prior_probs.npy"
    command = [sys.executable, SCRIPT, data_root / "tiny-imagenet-200", "--prior", prior]
    printed = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    rows = [line.rsplit(maxsplit=4) for line in printed.stdout.splitlines()[-3:]]
    measured = {name: [float(cell) for cell in cells] for name, *cells in rows}

    # AuC, rebalanced AuC, chroma ratio, PSNR
    grey, l2, rebalanced = (measured[name] for name in NAMES)
    assert rebalanced[1] > grey[1] + 6
    assert rebalanced[1] > l2[1]
    assert rebalanced[0] > grey[0] - 0.5
    assert l2[2] < 0.6
    assert 0.8 < rebalanced[2] < 1.25
    page = (SCRIPT.parents[1] / "docs" / "colorization.md").read_text().splitlines()
    for name in NAMES:
        (line,) = (line for line in page if line.startswith(f"| {name} |"))
        told = [float(cell) for cell in line.strip("| ").split("|")[1:]]
        assert measured[name] == pytest.approx(told, abs=0.03)
