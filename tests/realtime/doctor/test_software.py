from types import SimpleNamespace

import pytest

from realtime.doctor.finding import Level
from realtime.doctor.software import (
    check_imports,
    check_owners,
    check_packages,
    check_python,
    packages_of_checkout,
)


def one(findings):
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("version", "is_64_bit", "level"),
    [
        ((3, 11, 0), True, Level.OK),
        ((3, 14, 1), True, Level.OK),
        ((3, 10, 9), True, Level.PROBLEM),
        ((3, 12, 0), False, Level.PROBLEM),
    ],
)
def test_an_old_or_narrow_python_is_a_problem(version, is_64_bit, level):
    finding = one(check_python(version, is_64_bit=is_64_bit))
    assert finding.level is level
    assert bool(finding.cure) == (level is Level.PROBLEM)


def packages(**versions):
    return lambda name: versions.get(name.replace("-", "_"))


def test_packages_that_will_do_are_fine_and_extras_are_not_asked_for():
    wanted = ["numpy>=2.0", 'pyvirtualcam>=0.13; extra == "vcam"']
    assert one(check_packages(wanted, packages(numpy="2.4.6"))).level is Level.OK


@pytest.mark.parametrize(("version", "got"), [(None, "none"), ("1.26.4", "1.26.4")])
def test_a_missing_or_old_package_comes_with_the_command_that_installs_it(version, got):
    finding = one(check_packages(["numpy>=2.0"], packages(numpy=version)))
    assert finding.level is Level.PROBLEM
    assert f"numpy>=2.0 must be installed, got {got}" in finding.text
    assert finding.cure.endswith('-m pip install "numpy>=2.0"')


def test_a_checkout_that_is_not_installed_is_said_and_its_packages_are_looked_at():
    said, *others = check_packages([], lambda name: None if name == "pyyaml" else "99")
    assert said.level is Level.WARNING
    assert "install -e ." in said.cure
    missing = [one for one in others if "got none" in one.text]
    assert [one.cure.split('"')[1] for one in missing] == ["pyyaml>=6"]


def test_a_folder_that_is_no_checkout_says_nothing_of_packages(tmp_path):
    assert packages_of_checkout(tmp_path / "pyproject.toml") == []
    assert "numpy" in " ".join(packages_of_checkout())


@pytest.mark.parametrize(
    ("module", "others", "kept"),
    [
        ("cv2", ["opencv-contrib-python", "opencv-python-headless"], "opencv-python-headless"),
        ("onnxruntime", ["onnxruntime-gpu", "onnxruntime"], "onnxruntime"),
    ],
)
def test_two_distributions_of_one_module_are_told_apart_and_mended(module, others, kept):
    finding = one(check_owners({module: others}))
    assert (finding.subject, finding.level) == (module, Level.WARNING)
    assert all(name in finding.text for name in others)
    removal, install = finding.cure.split("&&")
    assert all(name in removal for name in others)
    assert install.split()[-1] == kept


def test_one_distribution_named_twice_is_one():
    assert one(check_owners({"cv2": ["opencv-python-headless"] * 2})).level is Level.OK


def whole(_name):
    return SimpleNamespace(ndarray=1, VideoCapture=1, open=1, InferenceSession=1)


def test_modules_that_load_are_not_mentioned():
    assert list(check_imports(whole)) == []


def test_a_module_that_cannot_be_loaded_is_a_problem():
    def load(name):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open\nshared object file")
        return whole(name)

    finding = one(check_imports(load))
    assert (finding.subject, finding.level) == ("cv2", Level.PROBLEM)
    assert "libGL.so.1: cannot open shared" in finding.text
    assert finding.cure.endswith("opencv-python-headless")


def test_a_module_that_is_empty_is_a_problem():
    finding = one(
        check_imports(lambda name: SimpleNamespace() if name == "onnxruntime" else whole(name))
    )
    assert "nothing called InferenceSession" in finding.text
