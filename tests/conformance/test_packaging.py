"""The distribution: folders, hatch and entry points agree, and a built wheel works by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PLUGINS = sorted(p.parent for p in ROOT.glob("plugins/*/*/__init__.py"))
PACKAGES = [ROOT / "framework" / "callsmith", *PLUGINS]
# The kernel proper; what runs on it stands in folders of its own.
KERNEL = sorted(p for p in (ROOT / "framework/callsmith").glob("*.py") if p.stem != "__init__")
HEAVY = ("torch", "transformers", "trl", "jax", "vllm", "peft", "datasets")


def test_folders_hatch_packages_and_entry_points_agree() -> None:
    folders = {str(package.relative_to(ROOT)) for package in PACKAGES}
    assert folders == set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    points = set(PROJECT["project"]["entry-points"]["callsmith"].values())
    assert points == {package.name for package in PLUGINS}
    shelves = {str(package.parent.relative_to(ROOT)) for package in PACKAGES}
    assert shelves == set(PROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"])
    checked = set(PROJECT["tool"]["mypy"]["packages"])
    assert checked == {package.name for package in PACKAGES}
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == checked


def test_nothing_but_packages_stands_in_the_shelves() -> None:
    for shelf in {package.parent for package in PACKAGES}:
        strangers = [
            p.name for p in shelf.iterdir() if p not in PACKAGES and p.name != "__pycache__"
        ]
        assert strangers == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_every_package_is_typed_and_declares_only_hooks(package: Path) -> None:
    assert (package / "py.typed").is_file()
    if package in PLUGINS:
        source = (package / "__init__.py").read_text()
        assert "hookimpl" in source
        assert len(source.splitlines()) < 100


def test_the_kernel_stays_small_and_no_file_is_long() -> None:
    assert sum(len(file.read_text().splitlines()) for file in KERNEL) < 2000
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 500, file


def test_light_commands_import_no_heavy_library() -> None:
    code = (
        "import sys, callsmith, callsmith.testing\n"
        "from callsmith.cli.main import cli\n"
        "cli.main(['plugins', '--json'], standalone_mode=False)\n"
        f"found = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "sys.exit(f'imported: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_built_in_is_healthy_and_comes_in_by_the_entry_point_group() -> None:
    command = [sys.executable, "-m", "callsmith.cli.main", "plugins", "--json"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours = {p["name"]: p for p in listed if p["distribution"] == "callsmith"}
    assert set(ours) == set(PROJECT["project"]["entry-points"]["callsmith"])
    assert all(p["status"] == "ok" and p["components"] for p in ours.values()), ours


def test_a_built_wheel_runs_the_quickstart_outside_the_tree(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert [n for n in names if n.startswith(("tests/", "docs/", "benchmarks/"))] == []
    assert sum(n.endswith("py.typed") for n in names) == len(PACKAGES)

    # A fresh environment with the dependencies of this one (no network), but not its callsmith.
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python, "-c", code], text=True).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    # The other environment's editable callsmith looks installed; pip must not stop at that.
    subprocess.run([*install, "--ignore-installed", wheel], check=True, capture_output=True)

    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "quickstart.yaml").write_bytes((ROOT / "examples/quickstart.yaml").read_bytes())
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    where = subprocess.check_output(
        [python, "-c", "import callsmith; print(callsmith.__file__)"],
        text=True,
        cwd=outside,
        env=environment,
    )
    assert Path(where.strip()).is_relative_to(site)
    done = subprocess.run(
        [python, "-m", "callsmith.cli.main", "run", "quickstart.yaml", "--json", "--quiet"],
        cwd=outside,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    arms = json.loads(done.stdout)["arms"]
    assert len(arms) >= 2
    assert all(arm["episodes"] > 0 and not arm["errors"] for arm in arms.values())
