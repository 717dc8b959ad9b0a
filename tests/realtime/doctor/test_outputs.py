from pathlib import Path

import pytest

from realtime import v4l2
from realtime.doctor.finding import Level
from realtime.doctor.outputs import (
    LoopbackFacts,
    LoopbackModule,
    check_display,
    check_virtual_cameras,
    find_loopback,
    is_registered,
)

GOOD = LoopbackFacts(Path("/dev/video10"), "rt-swap", exclusive_caps=True)


def found(*devices, loaded=True, installed=True, version="0.12.7"):
    module = LoopbackModule(loaded, installed, version, devices)
    return list(check_virtual_cameras("linux", loopback=lambda: module))


def test_a_free_device_is_all_that_is_needed():
    assert [finding.level for finding in found(GOOD)] == [Level.OK, Level.OK]


@pytest.mark.parametrize(("installed", "begin"), [(True, "sudo modprobe"), (False, "sudo apt")])
def test_a_module_that_is_not_loaded_comes_with_the_exact_commands(installed, begin):
    (finding,) = found(loaded=False, installed=installed)
    assert finding.level is Level.PROBLEM
    assert finding.cure.removeprefix("Run: ").startswith(begin)
    assert "modprobe v4l2loopback exclusive_caps=1" in finding.cure


@pytest.mark.parametrize(
    ("device", "cure"),
    [
        (LoopbackFacts(Path("/dev/video3"), "x", writable=False), "usermod -aG video"),
        (
            LoopbackFacts(Path("/dev/video3"), "x", taken=True, users=("obs (5)",)),
            "Close obs (5)",
        ),
    ],
)
def test_a_device_that_cannot_be_written_to_is_a_problem_unless_there_is_another(device, cure):
    _, warning, problem = found(device)
    assert (warning.level, problem.level) == (Level.WARNING, Level.PROBLEM)
    assert cure in warning.cure
    assert Level.PROBLEM not in [finding.level for finding in found(device, GOOD)]


def test_a_device_that_browsers_do_not_list_is_warned_of():
    _, warning = found(LoopbackFacts(Path("/dev/video3"), "x", exclusive_caps=False))
    assert warning.level is Level.WARNING
    assert "exclusive_caps=1" in warning.cure


def test_a_module_without_devices_is_a_problem():
    assert found()[-1].cure.startswith("Run: sudo modprobe -r v4l2loopback")


def test_the_version_that_flashes_is_warned_of():
    assert found(GOOD, version="0.15.1")[0].level is Level.WARNING


def test_a_reader_is_named_and_does_no_harm():
    finding = found(LoopbackFacts(Path("/dev/video3"), "x", users=("zoom (7)",)))[1]
    assert (finding.level, finding.text) == (Level.OK, "x, open in zoom (7)")


def test_the_module_and_its_devices_are_found_where_the_kernel_shows_them(tmp_path):
    dev, module, disk = tmp_path / "dev", tmp_path / "module", tmp_path / "disk"
    for folder in (dev, module / "parameters", disk / "updates"):
        folder.mkdir(parents=True)
    for number in (0, 2, 10):
        (dev / f"video{number}").touch()
    (module / "version").write_text("0.12.7\n")
    (module / "parameters" / "exclusive_caps").write_text("Y,N,N\n")
    (module / "parameters" / "video_nr").write_text("10,2,-1\n")
    (disk / "updates" / "v4l2loopback.ko.zst").touch()

    def query(path):
        driver = "uvcvideo" if path.name == "video0" else v4l2.LOOPBACK_DRIVER
        return v4l2.Capability(driver, path.name, captures=True, outputs=path.name == "video10")

    seen = find_loopback(dev=dev, sys_module=module, modules=disk, query=query)
    assert (seen.loaded, seen.installed, seen.version) == (True, True, "0.12.7")
    assert [(one.path.name, one.taken, one.exclusive_caps) for one in seen.devices] == [
        ("video2", True, False),
        ("video10", False, True),
    ]


def test_a_machine_without_the_module_has_nothing_of_it(tmp_path):
    nowhere = tmp_path / "nowhere"
    seen = find_loopback(dev=nowhere, sys_module=nowhere, modules=nowhere)
    assert seen == LoopbackModule(loaded=False, installed=False)


def test_windows_needs_the_package_and_one_of_the_filters():
    def check(version, known):
        return list(check_virtual_cameras("win32", pyvirtualcam=version, registered=known))

    assert [one.level for one in check("0.15.0", lambda _: True)] == [Level.OK]
    package, camera = check("", lambda _: False)
    assert package.cure.endswith("-m pip install pyvirtualcam")
    assert "obsproject.com" in camera.cure


def test_macos_needs_obs_and_its_extension(tmp_path):
    def check():
        return list(check_virtual_cameras("darwin", pyvirtualcam="0.15", applications=tmp_path))

    assert "Start Virtual Camera" in check()[0].cure
    (tmp_path / "OBS.app").mkdir()
    assert check()[0].level is Level.OK


@pytest.mark.skipif("sys.platform == 'win32'", reason="asks the registry there")
def test_no_class_is_registered_outside_windows():
    assert not is_registered("{A3FCE0F5-3493-419F-958A-ABA1250EC20B}")


def test_a_display_is_not_needed():
    (none,) = check_display({}, "linux")
    (some,) = check_display({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux")
    assert (none.level, some.text) == (Level.OK, "wayland-0")
