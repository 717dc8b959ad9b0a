import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from realtime.config import PACKAGED, Config, known_keys

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text("utf-8")


def test_every_packaged_configuration_is_found_through_the_package():
    names = {entry.name for entry in resources.files("configs").iterdir()}
    assert {f"{name}.yaml" for name in PACKAGED} <= names


def test_the_wheel_carries_every_data_file_of_the_packages():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    listed = subprocess.run(
        ["git", "ls-files", "realtime", "engines", "cuda_kernels", "configs"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split():
        path = Path(name)
        assert path.suffix == ".py" or any(path.match(pattern) for pattern in patterns), name
        assert (CHECKOUT / path.parts[0] / "__init__.py").exists()


def test_the_two_commands_of_the_readme_are_one_line_each_and_run_by_the_checks():
    checks = (CHECKOUT / ".ci" / "run").read_text("utf-8")
    for ending in ("&& .venv/bin/rt-swap demo", "&& .venv/bin/python -m pytest"):
        lines = [line for line in README.splitlines() if ending in line]
        assert len(lines) == 1
        assert lines[0].startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert ending in checks


def test_the_pictures_of_the_readme_are_there_and_small():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    assert all((CHECKOUT / picture).stat().st_size <= 200_000 for picture in pictures)


def test_the_readme_names_every_option_and_no_other():
    shown = subprocess.run(
        [sys.executable, "-c", "from realtime.cli import main; main(['--help'])"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"},
    ).stdout
    options = set(re.findall(r"^[│|] (--[a-z-]+)", shown, re.MULTILINE))
    assert len(options) > 15
    table = "\n".join(line for line in README.splitlines() if line.startswith("| `--"))
    assert set(re.findall(r"--[a-z-]+", table.replace("`--on-loss` have", ""))) == options


def test_the_readme_gives_the_exit_code_of_every_error():
    table = set(re.findall(r"^\| (\d+)", README, re.MULTILINE))
    assert table == {"0", "2", "3", "4", "5", "6", "7", "8", "130"}


def test_the_configuration_in_the_readme_loads(tmp_path: Path):
    from realtime.config import load_config

    example = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert example
    path = tmp_path / "example.yaml"
    path.write_text(example[1])
    assert load_config(str(path)).guard.on_loss == "blur"


def test_keys_named_in_the_readme_exist():
    keys = set(re.findall(r"--set ([a-z_.]+)=", README))
    assert keys
    assert keys <= set(known_keys(Config))
