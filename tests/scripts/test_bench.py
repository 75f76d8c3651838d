import os
import platform
import runpy

import bench
import pandas as pd
import pytest

ROW = {"work": "inference", "precision": "float32", "ratio": 1.25}


def test_report_tells_and_writes_the_rows_with_their_facts(tmp_path, capsys, monkeypatch):
    """And leaves out packages that are missing, as tensorflow_cpu is beside the extra [gpu]."""
    monkeypatch.setattr(bench, "PACKAGES", ("pandas", "no-such-package"))
    bench.report(iter([ROW]), tmp_path / "out.csv", rounds=5)
    table = pd.read_csv(tmp_path / "out.csv")
    facts = {"machine": bench.about()["machine"], "versions": f"pandas {pd.__version__}"}
    assert table.to_dict("records") == [{**ROW, **facts, "rounds": 5}]
    told = capsys.readouterr().out
    assert "inference" in told
    assert facts["machine"] in told


def test_the_installed_tensorflow_is_named_under_either_name():
    assert bench.about()["versions"].count("tensorflow") == 1


def test_what_was_measured_before_a_failure_is_told(tmp_path, capsys):
    def rows():
        yield ROW
        raise ModuleNotFoundError("No module named 'torch'")

    (tmp_path / "out.csv").write_text("an older table")
    with pytest.raises(ModuleNotFoundError):
        bench.report(rows(), tmp_path / "out.csv")
    assert "inference" in capsys.readouterr().out
    assert (tmp_path / "out.csv").read_text() == "an older table"


def test_rows_take_the_quickest_peer(monkeypatch, capsys):
    times = {"": 0.02, " with XLA": 0.04, "slow peer": 0.2, "quick peer": 0.03}
    monkeypatch.setattr(bench, "medians", lambda contestants, *rest: times)
    ours, peers = dict.fromkeys(("", " with XLA")), dict.fromkeys(("slow peer", "quick peer"))
    work = "training step", "float32", 32, ours, peers
    plain, xla = bench.rows([work], None, 1, 1)
    assert plain == {
        **{"work": "training step", "precision": "float32", "peer": "quick peer"},
        **{"ours ms": 20, "peer ms": 30, "ratio": 1.5},
        **{"ours per s": 1600, "peer per s": pytest.approx(32 / 0.03)},
    }
    assert (xla["work"], xla["ratio"]) == ("training step with XLA", 0.75)
    assert "training step with XLA, float32: 0.75" in capsys.readouterr().out


def test_the_processor_by_the_system(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(bench, "CPU_INFO", info)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert bench.processor() in (platform.processor(), platform.machine())
    info.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")  # as on ARM
    assert bench.processor() in (platform.processor(), platform.machine())
    info.write_text("processor\t: 0\nmodel name\t: AMD EPYC: 9B45\nmodel name\t: another\n")
    assert bench.processor() == "AMD EPYC: 9B45"
    fake = tmp_path / "sysctl"
    fake.write_text('#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo Apple M4\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert bench.processor() == "Apple M4"


def test_without_what_macos_and_windows_lack(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "getloadavg", raising=False)
    module = runpy.run_path(bench.__file__)
    module["warn_if_busy"]()
    assert os.cpu_count() == module["CORES"]
