"""A lock-free ring of reused slots between exactly one producer and one consumer.

Tickets
    The producer numbers what it writes 0, 1, 2 …; ticket *k* lives in slot *k mod N*. Two counters
    say everything, and each has one writer: ``head`` (the producer's: newest published ticket + 1)
    and ``claimed`` (the consumer's). They only grow. A slot also carries a stamp: the ordinal of
    the frame that lies in it, or ``EMPTY`` while it is being written.

STRICT: every frame, in order
    ``claimed`` counts the tickets the consumer has given back. The producer may write ticket
    ``head`` while ``head - claimed < N``; the consumer may read ticket ``claimed`` while
    ``claimed < head``. Each side compares its own counter with one that can only move in its
    favour, so a stale value makes it wait, never err. The contents of a slot are written before
    ``head`` moves past it and read before ``claimed`` does, so a slot has one owner at any time.

LIVE: the newest frame, and a producer that never waits
    ``claimed`` is the ticket the consumer reads, or read last. The consumer (1) reads ``head`` as
    *h*, (2) sets ``claimed = h - 1``, (3) reads ``head`` again as *h2*, and owns the slot if
    ``h2 <= h + N - 3``; else it starts over. The producer, about to write ticket *t* = ``head``,
    reads ``claimed`` and writes *t + 1* instead if ticket *t* would fall into the claimed slot.
    Why the claim holds: what the producer is writing at step 3 was reserved either after step 2,
    and then it has seen the claim and keeps clear of it, or before, and then it is ticket *h2* or,
    past an older claim, *h2 + 1*, which is at most ``h - 1 + N - 1`` and so not in the slot of
    *h - 1*. What it had published by then ends at *h2 - 1* and cannot be in that slot either. All
    it reserves later sees the claim. A claim fails only when N - 2 frames were published between
    two lines of the consumer, so it practically never loops; the producer has no loop at all. N is
    at least 4: one slot being written, one being read, and a depth of two between them. A claim
    outlives ``release``, which costs nothing, because the next claim replaces it.

Counting
    A frame the consumer passes over was *stale* if its stamp still stood in the ring at the claim,
    and *overrun* if the producer had written over it. The ordinals of two successive frames give
    the sum of both, skipped tickets are not ordinals, and the consumer alone keeps the two counts;
    so ``published == taken + stale + overrun + those still to come`` is exact.

What is asked of Python
    A load or store of an attribute or list item is the load or store of one pointer, so counters
    never tear. LIVE needs step 2 to be visible before step 3 reads (and the same of the producer's
    ``head`` and ``claimed``). Under the GIL that is given. In free-threaded builds a store takes
    and frees the object's mutex, and freeing it is an atomic read-modify-write: a full fence.

Sleeping is beside all this: a bell wakes a sleeper, who then looks at the counters again. A bell
rung while nobody sleeps stays rung, so no wake-up is lost, and ringing never blocks.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

EMPTY = -1
"""Stamp of a slot without a finished frame; ordinal of the frame before the first."""

MIN_LIVE_SLOTS = 4


class Policy(Enum):
    """What happens when the consumer is slower than the producer."""

    STRICT = "strict"
    LIVE = "live"


class Bell:
    """Wakes one sleeping thread; a ring that nobody hears is kept until the next wait."""

    def __init__(self) -> None:
        self._token = threading.Lock()
        self._token.acquire()

    def ring(self) -> None:
        """Wakes the sleeper. Never blocks; any thread."""
        # A token that is already free is a bell that is already rung.
        with suppress(RuntimeError):
            self._token.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleeps until the bell rings; only one thread may.

        Args:
            timeout_s: give up after this time; None: never.

        Returns:
            Whether it rang. It may have rung long ago: look again at what you wait for.
        """
        return self._token.acquire(timeout=-1 if timeout_s is None else timeout_s)


class Ring(Generic[T]):
    """Fixed slots handed from one producer thread to one consumer thread.

    Args:
        slots: the slots; the ring owns them from now on. LIVE needs at least four.
        policy: whether frames wait for the consumer or the newest wins.

    Raises:
        ValueError: too few slots.
    """

    def __init__(self, slots: Sequence[T], policy: Policy) -> None:
        least = MIN_LIVE_SLOTS if policy is Policy.LIVE else 1
        if len(slots) < least:
            raise ValueError(
                f"Ring: {policy.value} must have at least {least} slots, got {len(slots)}."
            )
        self._slots = tuple(slots)
        self._num_slots = len(self._slots)
        self._policy = policy
        # Written by the producer only.
        self._head = 0
        self._stamps = [EMPTY] * self._num_slots
        self._published = 0
        self._writing: int | None = None
        self._finished = False
        # Written by the consumer only. No ticket of LIVE is claimed at first, and the slot of
        # ticket -1 is left alone like that of any other claim.
        self._claimed = 0 if policy is Policy.STRICT else -1
        self._reading: int | None = None
        self._taken = EMPTY
        self._dropped_stale = 0
        self._dropped_overrun = 0
        # Written by anybody, once.
        self._cancelled = False
        self._filled = Bell()
        self._freed = Bell()

    @property
    def policy(self) -> Policy:
        """Whether frames wait for the consumer or the newest wins."""
        return self._policy

    @property
    def published(self) -> int:
        """Frames the producer has published."""
        return self._published

    @property
    def dropped_stale(self) -> int:
        """Frames passed over by the consumer while they still lay in the ring."""
        return self._dropped_stale

    @property
    def dropped_overrun(self) -> int:
        """Frames written over before the consumer could see them."""
        return self._dropped_overrun

    @property
    def cancelled(self) -> bool:
        """Whether nobody is to wait for this ring any more."""
        return self._cancelled

    @property
    def ended(self) -> bool:
        """Whether nothing is left and nothing will come; the consumer's question."""
        if self._cancelled or not self._finished:
            return self._cancelled
        # The producer has stopped before it said so: this head is the last one.
        head = self._head
        return head == (self._claimed if self._policy is Policy.STRICT else self._claimed + 1)

    def reserve(self) -> T | None:
        """The producer's next slot to write into; the same one until it is published.

        Returns:
            The slot, its contents arbitrary; None where STRICT has none free. LIVE always has one.
        """
        if self._writing is not None:
            return self._slots[self._writing % self._num_slots]
        if self._policy is Policy.STRICT:
            return self._reserve_free()
        return self._reserve_unclaimed()

    def _reserve_free(self) -> T | None:
        ticket = self._head
        given_back = self._claimed
        if ticket - given_back >= self._num_slots:
            return None
        self._writing = ticket
        self._stamps[ticket % self._num_slots] = EMPTY
        return self._slots[ticket % self._num_slots]

    def _reserve_unclaimed(self) -> T:
        ticket = self._head
        claimed = self._claimed
        if (ticket - claimed) % self._num_slots == 0:
            ticket += 1
        self._writing = ticket
        self._stamps[ticket % self._num_slots] = EMPTY
        return self._slots[ticket % self._num_slots]

    def wait_reserve(self, timeout_s: float | None = None) -> T | None:
        """Like ``reserve``, but sleeps while STRICT has no free slot.

        Args:
            timeout_s: give up when nothing was given back for this time; None: never.

        Returns:
            None after the time, or when the ring was cancelled.
        """
        while not self._cancelled:
            slot = self.reserve()
            if slot is not None:
                return slot
            if not self._freed.wait(timeout_s):
                return None
        return None

    def publish(self) -> None:
        """Hands the reserved slot to the consumer.

        Raises:
            RuntimeError: no slot is reserved.
        """
        ticket = self._writing
        if ticket is None:
            raise RuntimeError("Ring.publish: a slot must be reserved first, got none.")
        self._stamps[ticket % self._num_slots] = self._published
        self._published += 1
        self._writing = None
        self._head = ticket + 1
        self._filled.ring()

    def finish(self) -> None:
        """Says that no more frames will come; what is in the ring can still be taken."""
        self._finished = True
        self._filled.ring()

    def take(self) -> T | None:
        """The oldest frame of a STRICT ring; the same one until it is released.

        Returns:
            The slot, the caller's until ``release``; None if there is none.

        Raises:
            RuntimeError: the ring is LIVE, where the oldest frame may be overwritten.
        """
        if self._policy is not Policy.STRICT:
            raise RuntimeError("Ring.take: the ring must be strict, got live. Use take_newest.")
        ticket = self._claimed
        head = self._head
        if ticket == head:
            return None
        self._reading = ticket
        self._taken = self._stamps[ticket % self._num_slots]
        return self._slots[ticket % self._num_slots]

    def take_newest(self) -> T | None:
        """The newest frame of a LIVE ring, once; older ones are passed over and counted.

        Returns:
            The slot, the caller's until the next call; None if nothing newer has come.

        Raises:
            RuntimeError: the ring is STRICT, where no frame may be passed over.
        """
        if self._policy is not Policy.LIVE:
            raise RuntimeError("Ring.take_newest: the ring must be live, got strict. Use take.")
        while True:
            head = self._head
            if head - 1 == self._claimed:
                return None
            self._claimed = head - 1
            head_now = self._head
            if head_now <= head + self._num_slots - 3:
                break
        self._reading = head - 1
        self._count_up_to(self._stamps[(head - 1) % self._num_slots])
        return self._slots[(head - 1) % self._num_slots]

    def _count_up_to(self, ordinal: int) -> None:
        """Counts the frames between the one taken before and the one of this ordinal."""
        passed_over = ordinal - self._taken - 1
        still_there = 0
        for index in range(self._num_slots):
            stamp = self._stamps[index]
            still_there += self._taken < stamp < ordinal
        self._dropped_stale += still_there
        self._dropped_overrun += passed_over - still_there
        self._taken = ordinal

    def wait_take(self, timeout_s: float | None = None) -> T | None:
        """``take`` or ``take_newest``, as the policy has it; sleeps until there is a frame.

        Args:
            timeout_s: give up when nothing happened for this time; None: never.

        Returns:
            None after the time, when the ring has ended, or when it was cancelled.
        """
        take = self.take if self._policy is Policy.STRICT else self.take_newest
        while not self._cancelled:
            # Read before looking: what was published before the end is then still found.
            finished = self._finished
            slot = take()
            if slot is not None:
                return slot
            if finished or not self._filled.wait(timeout_s):
                return None
        return None

    def release(self) -> None:
        """Gives the taken slot back.

        Raises:
            RuntimeError: none is taken, or it was written while it was read, which the protocol
                excludes as long as there is one producer and one consumer.
        """
        ticket = self._reading
        if ticket is None:
            raise RuntimeError("Ring.release: a slot must be taken first, got none.")
        if self._stamps[ticket % self._num_slots] != self._taken:
            raise RuntimeError(
                "Ring.release: a slot must stay as it is while it is read, got it written. "
                "Let one thread produce and one consume."
            )
        self._reading = None
        if self._policy is Policy.STRICT:
            self._claimed = ticket + 1
            self._freed.ring()

    def cancel(self) -> None:
        """Wakes both sides for good: whoever waits, now or later, gets None. Any thread."""
        self._cancelled = True
        self._filled.ring()
        self._freed.ring()

    def settle(self) -> int:
        """Counts as dropped what nobody will take any more; both sides must have stopped.

        Returns:
            How many frames that were.
        """
        before = self._dropped_stale + self._dropped_overrun
        self._count_up_to(self._published)
        self._taken = self._published - 1
        return self._dropped_stale + self._dropped_overrun - before
