import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent


def demo(*photos):
    command = [sys.executable, ROOT / "scripts" / "demo.py", *photos]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_demos_at_once(tmp_path):
    photo = tmp_path / "mine.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype("uint8")).save(
        photo
    )
    for process in [demo(), demo(photo)]:
        out, errors = process.communicate(timeout=300)
        told = [line for line in errors.splitlines() if line.strip() and "%|" not in line]
        assert (process.returncode, told) == (0, [])  # but for bars, on a busy machine
        assert "A photo took" in out
    sheet = Path(next(line for line in out.splitlines() if "sheet" in line).split(": ")[1])
    with Image.open(sheet) as picture:
        picture.load()
    with Image.open(sheet.parent / "shapes.png") as picture:
        picture.load()
    with Image.open(sheet.parent / "mine_coloured.jpg") as picture:
        assert picture.size == (60, 40)


@pytest.mark.slow
def test_a_broken_photo_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    process = demo(tmp_path / "broken.jpg")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("demo: ")
    assert "broken.jpg" in errors.splitlines()[-1]


def shell(folder, code, **variables):
    """Runs code in bash behind setup.sh of a folder."""
    code = f"source {folder}/scripts/setup.sh; {code}"
    environment = {**os.environ, **variables}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], env=environment, capture_output=True, text=True
    )


@pytest.fixture
def fresh(tmp_path):
    """A folder with the scripts alone, never set up."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup.sh", "setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def fake(folder, name, code):
    """A command of one's own on the PATH."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{code}\n")
    path.chmod(0o755)
    return f"{path.parent}:{os.environ['PATH']}"


def test_setup_says_that_python_is_too_old(fresh):
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        path = fake(fresh, name, '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
    done = shell(fresh, "setup cpu", PATH=path, PYTHON="")
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed; found Python 3.9.2" in done.stderr
    assert not (fresh / ".venv.lock").exists()


def test_setup_says_that_venv_is_missing(fresh):
    path = fake(fresh, "python3", '[ "$2" = venv ] && exit 1; exit 0')
    done = shell(fresh, "setup cpu", PATH=path, PYTHON="")
    assert "python3-venv" in done.stderr


def test_setup_says_that_the_disk_is_full(fresh):
    path = fake(fresh, "df", "printf 'head\\nfs 1 1 2048 1%% /\\n'")
    assert "2 MB are free" in shell(fresh, "setup cpu", PATH=path).stderr


def test_setup_says_that_there_is_no_network(fresh):
    pip = 'case "$*" in *"import pip"*) exit 0;; *install*) exit 1;; esac'
    (fresh / ".venv" / "bin").mkdir(parents=True)
    (fresh / ".venv" / "bin" / "python").write_text(f"#!/bin/bash\n{pip}\n")
    (fresh / ".venv" / "bin" / "python").chmod(0o755)
    done = shell(fresh, "setup cpu")
    assert "Is there a network" in done.stderr
    assert not list((fresh / ".venv").glob("installed-*"))


def test_setup_once_is_enough_and_the_tests_venv_serves_the_demo(fresh):
    (fresh / ".venv" / "bin").mkdir(parents=True)
    python = fresh / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/bash\necho "$*" >>{fresh}/calls\n')
    python.chmod(0o755)
    assert shell(fresh, "setup cpu,test; setup cpu,test; setup cpu").returncode == 0
    calls = (fresh / "calls").read_text()
    assert calls.count("pip install") == 1
    (fresh / "setup.cfg").write_text("changed")
    shell(fresh, "setup cpu")
    assert (fresh / "calls").read_text().count("pip install") == 2


def test_setup_takes_over_the_lock_of_one_that_was_killed(fresh):
    (fresh / ".venv.lock").write_text("999999")
    path = fake(fresh, "df", "printf 'head\\nfs 1 1 2048 1%% /\\n'")
    assert "2 MB are free" in shell(fresh, "setup cpu", PATH=path).stderr
    assert not (fresh / ".venv.lock").exists()
