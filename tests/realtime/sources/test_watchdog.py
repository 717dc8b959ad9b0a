import numpy as np

from realtime.sources.watchdog import FROZEN_NS, Backoff, FrozenWatch


def picture(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


def test_the_same_picture_is_frozen_after_two_seconds_and_not_before() -> None:
    watch = FrozenWatch()
    for now_ns, frozen in [(0, False), (FROZEN_NS - 1, False), (FROZEN_NS, True)]:
        watch.see(picture(9), now_ns)
        assert watch.frozen is frozen


def test_one_pixel_that_is_looked_at_is_enough_to_be_alive() -> None:
    watch = FrozenWatch()
    watch.see(picture(9), 0)
    changed = picture(9)
    changed[40, 56, 1] += 1
    watch.see(changed, FROZEN_NS)
    assert not watch.frozen


def test_what_was_seen_before_the_camera_was_opened_again_does_not_count() -> None:
    watch = FrozenWatch()
    watch.see(picture(9), 0)
    watch.see(picture(9), FROZEN_NS)
    watch.forget()
    assert not watch.frozen
    watch.see(picture(9), 2 * FROZEN_NS)
    assert not watch.frozen


def test_waits_double_up_to_eight_seconds_and_start_afresh() -> None:
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    backoff.reset()
    assert backoff.next_s() == 0.5
