"""What `pip install` makes of the checkout: all of the package, nothing else, and it works."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
# TensorFlow comes by an extra of the user's choice; the others only where they are there.
OPTIONAL = {
    "tensorflow", "torch", "jax", "IPython", "faster_coco_eval", "faiss", "keras_cv", "scipy",
    "sklearn",
}  # fmt: skip
DISTRIBUTIONS = {"PIL": "pillow"}  # where they are named unlike the module


@pytest.fixture(scope="module")
def config():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(text):
    return [Requirement(line) for line in text.splitlines() if line]


def test_every_import_is_declared(config):
    trees = [ast.parse(path.read_text()) for path in (ROOT / "keras_vision").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    modules = {name.split(".")[0] for name in names} - sys.stdlib_module_names - OPTIONAL
    declared = {need.name for need in requirements(config["options"]["install_requires"])}
    assert {DISTRIBUTIONS.get(name, name) for name in modules - {"keras_vision"}} <= declared


@pytest.mark.parametrize(
    ("system", "machine", "cpu", "gpu"),
    [
        ("linux", "x86_64", "tensorflow-cpu", ["and-cuda"]),
        ("linux", "aarch64", "tensorflow", ["and-cuda"]),
        ("darwin", "arm64", "tensorflow", []),
        ("win32", "AMD64", "tensorflow-cpu", []),
    ],
)
def test_extras_name_a_tensorflow_that_has_wheels(config, system, machine, cpu, gpu):
    def chosen(extra):
        here = {"sys_platform": system, "platform_machine": machine}
        needs = requirements(config["options.extras_require"][extra])
        needs = [need for need in needs if need.marker is None or need.marker.evaluate(here)]
        return [(need.name, list(need.extras)) for need in needs]

    assert chosen("cpu") == [(cpu, [])]
    assert chosen("gpu") == [("tensorflow", gpu)]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments):
    quiet = "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"
    return run(sys.executable, "-m", "pip", arguments[0], *quiet, *arguments[1:])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the checkout's files, as a build leaves its own behind."""
    if not (ROOT / ".git").exists():
        pytest.skip("what belongs to the package is known from git")
    target = tmp_path_factory.mktemp("checkout")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def data(source):
    """{path: content} of the package's files that are no modules."""
    paths = [path for path in (source / "keras_vision").rglob("*") if path.is_file()]
    paths = [path for path in paths if path.suffix != ".py"]
    return {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def wheel(source, data, tmp_path_factory):
    compiled = source / "keras_vision" / "datasets" / "__pycache__" / "mnist.pyc"
    compiled.parent.mkdir()
    compiled.touch()  # as Python leaves it in a checkout
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, source)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel, data):
    with zipfile.ZipFile(wheel) as files:
        held = {name: files.read(name) for name in files.namelist()}
    assert {name for name in data if held.get(name) != data[name]} == set()
    rest = [name for name in held if name not in data]
    strange = [name for name in rest if not re.match(r"keras_vision/.*\.py$|[^/]*-info/", name)]
    assert strange == []
    assert wheel.stat().st_size < 40e6


CHECK = """
import sys
from pathlib import Path

installed, checkout = Path(sys.argv[1]), Path(sys.argv[2])
sys.path = [place for place in sys.path if Path(place).resolve() != checkout]
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in str(finder)]

from keras_vision import colorization
from keras_vision.classification import mnist_convnet
from keras_vision.datasets import mnist, samples

assert len(samples.photos()) == 6
assert len(mnist.load("test", mnist.SUBSET)) == 1000
colorization.build(weights="tiny_imagenet")
colorization.build(bins=None, weights="tiny_imagenet")
mnist_convnet.build(weights="mnist")
ours = [sys.modules[name].__file__ for name in sys.modules if name.startswith("keras_vision")]
assert ours and all(Path(file).is_relative_to(installed) for file in ours), ours
"""


@pytest.mark.slow
def test_what_is_installed_finds_its_photos_and_weights(wheel, tmp_path):
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip("install", "--target", installed, wheel)
    command = sys.executable, "-c", CHECK, installed, ROOT
    run(*command, cwd=elsewhere, env={**os.environ, "PYTHONPATH": str(installed)})
