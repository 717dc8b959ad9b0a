import itertools

import numpy as np
import pytest

from realtime.provenance import bch

RNG = np.random.default_rng(1)
MESSAGES = [0, 1, 2**36 - 1, *(int(value) for value in RNG.integers(0, 2**36, 40))]


def test_the_generator_is_the_one_of_the_tables():
    # Lin and Costello, Error Control Coding, table 6.4: (63, 36), t = 5, octal 1033500423.
    assert int("1033500423", 8) == bch._GENERATOR


@pytest.mark.parametrize("message", MESSAGES[:5])
def test_a_message_stands_at_the_beginning_of_its_word(message: int):
    word = bch.encode(message)
    assert len(word) == 63
    assert bch.message_of(word) == message


def test_words_differ_in_at_least_eleven_bits():
    words = [np.array(bch.encode(message)) for message in MESSAGES]
    distances = [int((a != b).sum()) for a, b in itertools.combinations(words, 2)]
    assert min(distances) >= 11


def soft(word):
    return 1.0 - 2.0 * np.array(word)


@pytest.mark.parametrize("message", MESSAGES[:5])
def test_a_word_without_errors_is_read_as_it_is(message: int):
    word = bch.encode(message)
    assert bch.likeliest_words(soft(word))[0] == word


@pytest.mark.parametrize("num_errors", [1, 3, 5, 8, 12])
def test_wrong_bits_that_are_unsure_are_put_right(num_errors: int):
    for message in MESSAGES[:12]:
        word = bch.encode(message)
        received = soft(word)
        received[RNG.choice(63, num_errors, replace=False)] *= -0.2
        assert bch.likeliest_words(received)[0] == word


def test_two_wrong_bits_that_are_sure_are_put_right():
    for message in MESSAGES[:12]:
        word = bch.encode(message)
        received = soft(word)
        received[RNG.choice(63, 2, replace=False)] *= -1.5
        assert bch.likeliest_words(received)[0] == word


def test_in_strong_noise_most_words_are_still_read_and_only_code_words_come_out():
    # One bit in eight is wrong, about eight of a word; eleven bits apart, five can be counted out.
    num_right = 0
    for message in MESSAGES:
        word = bch.encode(message)
        best = bch.likeliest_words(soft(word) + RNG.normal(0, 0.87, 63))[0]
        assert bch.encode(bch.message_of(best)) == best
        num_right += best == word
    assert num_right > 0.4 * len(MESSAGES)


@pytest.mark.parametrize("message", [-1, 2**36])
def test_a_message_that_is_too_long_is_refused(message: int):
    with pytest.raises(ValueError, match="at most 36 bits"):
        bch.encode(message)


def test_the_two_likeliest_words_differ_and_the_first_agrees_better():
    for message in (0, 5, 2**36 - 1):
        received = soft(bch.encode(message)) + RNG.normal(0, 0.5, 63)
        first, second = bch.likeliest_words(received)
        assert first == bch.encode(message)
        assert sum(a != b for a, b in zip(first, second, strict=True)) >= 11
        agreement = [(1 - 2 * np.array(word)) @ received for word in (first, second)]
        assert agreement[0] > agreement[1]
