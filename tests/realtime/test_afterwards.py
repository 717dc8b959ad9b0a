import threading

import pytest

from realtime.afterwards import Afterwards


def test_a_job_begins_when_it_is_told_to_and_in_another_thread():
    with Afterwards("test") as afterwards:
        began = threading.Event()
        future = afterwards.submit(
            lambda x, *, y: (began.set(), threading.get_ident(), x + y), 3, y=4
        )
        assert not future.running()
        assert not began.is_set()
        afterwards.begin()
        _, thread, total = future.result(10)
        assert thread != threading.get_ident()
        assert total == 7


def test_jobs_are_done_in_order_and_each_once():
    done = []
    with Afterwards("test") as afterwards:
        futures = [afterwards.submit(done.append, number) for number in range(3)]
        afterwards.begin()
        afterwards.begin()
        for future in futures:
            future.result(10)
    assert done == [0, 1, 2]


def test_an_error_comes_out_where_the_result_is_asked_for():
    def fail():
        raise RuntimeError("no such network")

    with Afterwards("test") as afterwards:
        future = afterwards.submit(fail)
        afterwards.begin()
        with pytest.raises(RuntimeError, match="no such network"):
            future.result(10)


def test_a_cancelled_job_is_not_done():
    done = []
    with Afterwards("test") as afterwards:
        future = afterwards.submit(done.append, 1)
        assert future.cancel()
        afterwards.begin()
        afterwards.submit(int)
        afterwards.begin()
    assert done == []


def test_what_has_not_begun_never_will_once_it_is_shut_down():
    done = []
    with Afterwards("test") as afterwards:
        afterwards.submit(done.append, 1)
    afterwards.begin()
    assert done == []
