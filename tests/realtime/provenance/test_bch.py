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
    assert bch.correct(word) == word


def test_words_differ_in_at_least_eleven_bits():
    words = [np.array(bch.encode(message)) for message in MESSAGES]
    distances = [int((a != b).sum()) for a, b in itertools.combinations(words, 2)]
    assert min(distances) >= 11


@pytest.mark.parametrize("num_errors", [1, 2, 3, 4, 5])
def test_up_to_five_errors_are_corrected_wherever_they_are(num_errors: int):
    for message in MESSAGES:
        word = bch.encode(message)
        received = list(word)
        for place in RNG.choice(63, num_errors, replace=False):
            received[place] ^= 1
        assert bch.correct(received) == word


def test_six_errors_never_give_the_word_back():
    for message in MESSAGES:
        word = bch.encode(message)
        received = list(word)
        for place in RNG.choice(63, 6, replace=False):
            received[place] ^= 1
        assert bch.correct(received) != word


def test_few_random_words_are_near_a_code_word():
    # The balls of radius five fill 5.7 % of the space.
    found = [bch.correct(RNG.integers(0, 2, 63).tolist()) is not None for _ in range(1000)]
    assert 0.03 < np.mean(found) < 0.09


@pytest.mark.parametrize("message", [-1, 2**36])
def test_a_message_that_is_too_long_is_refused(message: int):
    with pytest.raises(ValueError, match="at most 36 bits"):
        bch.encode(message)
