import os
from pathlib import Path

import pytest

from realtime.doctor.finding import Level
from realtime.doctor.places import check_cache, check_consent


def everything(path, mode):
    return True


def nothing(path, mode):
    return False


def one(findings):
    (finding,) = findings
    return finding


@pytest.mark.parametrize("exists", [True, False])
def test_a_record_that_can_be_written_or_made_is_fine_and_not_made_by_looking(tmp_path, exists):
    record = tmp_path / "rt-swap" / "consent.jsonl"
    if exists:
        record.parent.mkdir()
        record.touch()
    finding = one(check_consent(record))
    assert finding.level is Level.OK
    assert str(record) in finding.text
    assert record.exists() == exists


def test_a_place_that_is_no_folder_is_a_problem_with_its_cure():
    finding = one(check_consent(Path(os.devnull) / "rt-swap" / "consent.jsonl"))
    assert finding.level is Level.PROBLEM
    assert "XDG_DATA_HOME" in finding.cure


@pytest.mark.parametrize("exists", [True, False])
def test_a_place_this_user_may_not_use_is_a_problem(tmp_path, exists):
    record = tmp_path / "consent.jsonl"
    if exists:
        record.touch()
    assert one(check_consent(record, nothing)).level is Level.PROBLEM
    assert one(check_consent(record, everything)).level is Level.OK


def test_a_folder_in_the_place_of_the_record_is_a_problem(tmp_path):
    assert one(check_consent(tmp_path)).level is Level.PROBLEM


@pytest.mark.parametrize("exists", [True, False])
def test_a_cache_that_cannot_be_written_is_warned_of_for_what_it_holds_can_be_used(
    tmp_path, exists
):
    folder = tmp_path / "models"
    if exists:
        folder.mkdir()
    assert one(check_cache(folder, everything)).level is Level.OK
    finding = one(check_cache(folder, nothing))
    assert finding.level is Level.WARNING
    assert "RT_SWAP_CACHE" in finding.cure
    assert folder.exists() == exists


def test_a_file_in_the_place_of_the_cache_is_warned_of(tmp_path):
    (tmp_path / "models").touch()
    for folder in (tmp_path / "models", tmp_path / "models" / "deeper"):
        assert one(check_cache(folder)).level is Level.WARNING
