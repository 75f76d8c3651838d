import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_vision import colorization
from keras_vision.colorization import bins
from keras_vision.colorization.remembered import remembered

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibrate_colorization.py"


@pytest.mark.realdata
def test_what_is_chosen_is_part_of_the_weights(data_root, tmp_path):
    prior = data_root / "colorization" / "resources" / "prior_probs.npy"
    model = colorization.build(weights="tiny_imagenet")
    model.save(tmp_path / "model-1.keras")
    command = [sys.executable, SCRIPT, tmp_path, data_root / "tiny-imagenet-200"]
    command += ["--prior", prior, "--photos", "50"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    temperature, power = map(
        float, re.search(r"temperature (\S+), .* power of (\S+)", done.stdout).groups()
    )
    rows = [
        line.split() for line in done.stdout.splitlines() if re.match(r"[ \d.]+-?[\d.]+ ", line)
    ]
    rows = [list(map(float, row))[-4:] for row in rows if len(row) >= 4]
    best = max(rebalanced for _, plain, rebalanced, _ in rows if plain >= -0.4)
    assert any(row[0] == power and row[2] == best for row in rows)

    calibrated = colorization.build(weights=tmp_path / "calibrated.keras")
    assert remembered(calibrated) == (64, temperature)
    photo = np.random.default_rng(0).uniform(0, 100, (1, 32, 32, 1)).astype("float32")
    logits = model.predict_on_batch(photo) + power * np.log(bins.rarity(np.load(prior)))
    np.testing.assert_allclose(
        bins.decode(calibrated.predict_on_batch(photo), temperature),
        bins.decode(logits, temperature),
        atol=0.05,
    )


@pytest.mark.realdata
def test_the_lightness_helps(data_root, tmp_path):
    """On photos of 224x224; for the published network's finer cells it changes nothing."""
    shutil.copytree(data_root / "colorization" / "imagenet_comparison", tmp_path / "photos")
    prior = data_root / "colorization" / "resources" / "prior_probs.npy"
    script = SCRIPT.with_name("evaluate_upsampling.py")
    command = [sys.executable, script, tmp_path / "photos", "--prior", prior, "--sizes", "64"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    rows = [list(map(float, line.split()[-3:])) for line in done.stdout.splitlines()[-4:]]
    bilinear, guided, published, published_guided = rows
    assert guided[0] > bilinear[0] + 0.02
    assert guided[1] > bilinear[1] + 0.02
    np.testing.assert_allclose(published_guided, published, atol=0.05)
