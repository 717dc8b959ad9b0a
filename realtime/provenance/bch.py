"""The BCH(63, 36) code: 36 bits in a word of 63, any two of which differ in eleven bits; pure.

Narrow-sense binary BCH code of length 63 and designed distance 11 over GF(64) with the primitive
polynomial x^6 + x + 1 (Lin and Costello, Error Control Coding, ch. 6). Words are tuples of bits,
the coefficient of the highest power first. Words are read from soft values by ordered statistics
(Fossorier and Lin, Soft-decision decoding of linear block codes based on ordered statistics, 1995),
which at this length comes close to the best there is.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LENGTH = 63
NUM_MESSAGE_BITS = 36
DESIGNED_DISTANCE = 11

_FIELD_POLYNOMIAL = 0b1000011
_MAX_TURNED = 2
"""How many of the surest bits that determine a word may be wrong."""

Bits = tuple[int, ...]


def _powers() -> tuple[int, ...]:
    """The powers of the field's generator, twice over, so that sums of two logarithms fit."""
    powers, value = [], 1
    for _ in range(LENGTH):
        powers.append(value)
        value <<= 1
        if value & 0b1000000:
            value ^= _FIELD_POLYNOMIAL
    return tuple(powers * 2)


_POWER = _powers()
_LOG = {value: exponent for exponent, value in enumerate(_POWER[:LENGTH])}


def _times(a: int, b: int) -> int:
    return _POWER[_LOG[a] + _LOG[b]] if a and b else 0


def _generator() -> int:
    """The product of the minimal polynomials of the odd powers below twice the errors."""
    roots = {odd * 2**k % LENGTH for odd in range(1, DESIGNED_DISTANCE, 2) for k in range(6)}
    product = [1]
    for root in sorted(roots):
        product = [
            high ^ _times(_POWER[root], low)
            for high, low in zip([*product, 0], [0, *product], strict=True)
        ]
    return int("".join(map(str, product)), 2)


_GENERATOR = _generator()


def encode(message: int) -> Bits:
    """The code word of a message, which stands at its beginning.

    Args:
        message: 0 up to 2**36 - 1.

    Raises:
        ValueError: the message has more bits.
    """
    if not 0 <= message < 1 << NUM_MESSAGE_BITS:
        raise ValueError(f"bch: the message must have at most {NUM_MESSAGE_BITS} bits, got more.")
    num_checks = LENGTH - NUM_MESSAGE_BITS
    remainder = message << num_checks
    for shift in range(LENGTH - 1, num_checks - 1, -1):
        if remainder >> shift & 1:
            remainder ^= _GENERATOR << (shift - num_checks)
    word = message << num_checks | remainder
    return tuple(word >> shift & 1 for shift in range(LENGTH - 1, -1, -1))


def message_of(word: Sequence[int]) -> int:
    """The message at the beginning of a word."""
    return int("".join(map(str, word[:NUM_MESSAGE_BITS])), 2)


def likeliest_words(soft: NDArray[np.float64]) -> tuple[Bits, Bits]:
    """The two code words that agree best with uncertain bits, the better one first.

    They are looked for among those that differ in at most two of the 36 surest bits that can be
    chosen freely from what was received.

    Args:
        soft: ``(63,) f64``; the sign says the bit, positive for 0, the size how sure that is.
    """
    order = np.argsort(-np.abs(soft), kind="stable")
    basis, rows = _reduced(_generator_rows()[:, order])
    received = (soft[order][basis] < 0).astype(np.uint8)
    messages = received ^ _turns()
    words = (messages.astype(np.int64) @ rows) & 1
    first, second = np.argsort((2 * words - 1) @ soft[order], kind="stable")[:2]
    return _put_back(words[first], order), _put_back(words[second], order)


def _put_back(bits: NDArray[np.int64], order: NDArray[np.intp]) -> Bits:
    """A word whose bits were sorted."""
    word = np.empty(LENGTH, int)
    word[order] = bits
    return tuple(word.tolist())


def _generator_rows() -> NDArray[np.uint8]:
    """The words of the messages with a single bit, ``(36, 63) u8``."""
    return np.array([encode(1 << place) for place in range(NUM_MESSAGE_BITS)], np.uint8)


def _reduced(rows: NDArray[np.uint8]) -> tuple[list[int], NDArray[np.uint8]]:
    """Gauss-Jordan elimination over GF(2).

    Returns:
        The first columns that can be chosen freely, and the same code's rows, of which each has a
        one in just one of them.
    """
    basis: list[int] = []
    for column in range(LENGTH):
        step = len(basis)
        if step == NUM_MESSAGE_BITS:
            break
        ones = np.flatnonzero(rows[step:, column])
        if not len(ones):
            continue
        rows[[step, step + ones[0]]] = rows[[step + ones[0], step]]
        others = rows[:, column].astype(np.bool_)
        others[step] = False
        rows[others] ^= rows[step]
        basis.append(column)
    return basis, rows


def _turns() -> NDArray[np.uint8]:
    """Every choice of at most two bits of the basis, ``(667, 36) u8``."""
    places = range(NUM_MESSAGE_BITS)
    chosen = [
        which for count in range(_MAX_TURNED + 1) for which in itertools.combinations(places, count)
    ]
    turns = np.zeros((len(chosen), NUM_MESSAGE_BITS), np.uint8)
    for turn, which in zip(turns, chosen, strict=True):
        turn[list(which)] = 1
    return turns
