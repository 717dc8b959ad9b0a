"""The BCH(63, 36) code: 36 bits in a word of 63, of which any five may be wrong; pure.

Narrow-sense binary BCH code of length 63 and designed distance 11 over GF(64) with the primitive
polynomial x^6 + x + 1 (Lin and Costello, Error Control Coding, ch. 6). Words are tuples of bits,
the coefficient of the highest power first.
"""

from collections.abc import Sequence

LENGTH = 63
NUM_MESSAGE_BITS = 36
MAX_ERRORS = 5

_FIELD_POLYNOMIAL = 0b1000011
_NUM_SYNDROMES = 2 * MAX_ERRORS

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


def _over(a: int, b: int) -> int:
    return _POWER[_LOG[a] + LENGTH - _LOG[b]] if a else 0


def _generator() -> int:
    """The product of the minimal polynomials of the odd powers below twice the errors."""
    roots = {odd * 2**k % LENGTH for odd in range(1, _NUM_SYNDROMES, 2) for k in range(6)}
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


def correct(word: Sequence[int]) -> Bits | None:
    """The code word within five errors of a word, or None where there is none.

    Args:
        word: 63 bits.
    """
    powers = [LENGTH - 1 - place for place, bit in enumerate(word) if bit]
    syndromes = [_syndrome(powers, order) for order in range(1, _NUM_SYNDROMES + 1)]
    if not any(syndromes):
        return tuple(word)
    locator = _error_locator(syndromes)
    num_errors = len(locator) - 1
    if num_errors > MAX_ERRORS:
        return None
    # A root at the inverse of a power says that the bit of that power is wrong.
    wrong = [power for power in range(LENGTH) if not _value_at(locator, -power % LENGTH)]
    if len(wrong) != num_errors:
        return None
    corrected = list(word)
    for power in wrong:
        corrected[LENGTH - 1 - power] ^= 1
    return tuple(corrected)


def _syndrome(powers: list[int], order: int) -> int:
    value = 0
    for power in powers:
        value ^= _POWER[power * order % LENGTH]
    return value


def _value_at(polynomial: list[int], log: int) -> int:
    """The polynomial, lowest coefficient first, at this power of the generator."""
    value = 0
    for degree, coefficient in enumerate(polynomial):
        if coefficient:
            value ^= _POWER[(_LOG[coefficient] + log * degree) % LENGTH]
    return value


def _error_locator(syndromes: list[int]) -> list[int]:
    """The Berlekamp-Massey algorithm; lowest coefficient first, no zero at the end."""
    locator, before = [1], [1]
    num_errors, gap, discrepancy_before = 0, 1, 1
    for step in range(len(syndromes)):
        discrepancy = syndromes[step]
        for degree in range(1, min(num_errors, len(locator) - 1) + 1):
            discrepancy ^= _times(locator[degree], syndromes[step - degree])
        if discrepancy == 0:
            gap += 1
            continue
        scale = _over(discrepancy, discrepancy_before)
        shifted = [0] * gap + [_times(scale, value) for value in before]
        size = max(len(locator), len(shifted))
        updated = [
            a ^ b
            for a, b in zip(
                locator + [0] * (size - len(locator)),
                shifted + [0] * (size - len(shifted)),
                strict=True,
            )
        ]
        if 2 * num_errors <= step:
            before, discrepancy_before = locator, discrepancy
            num_errors, gap = step + 1 - num_errors, 1
        else:
            gap += 1
        locator = updated
    while locator[-1] == 0:
        locator.pop()
    return locator
