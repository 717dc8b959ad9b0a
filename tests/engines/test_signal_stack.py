import ctypes
import sys

import pytest

from engines.signal_stack import _Stack, signal_stack_kept

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux is protected"
)


def current_stack():
    stack = _Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.address, stack.flags


@pytest.mark.parametrize("error", [None, ValueError("oh")])
def test_whatever_stack_the_block_installs_the_former_is_back_afterwards(error):
    before = current_stack()
    memory = ctypes.create_string_buffer(1 << 16)
    other = _Stack(ctypes.addressof(memory), 0, len(memory))

    def install():
        with signal_stack_kept():
            assert ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None) == 0
            assert current_stack()[0] == ctypes.addressof(memory)
            if error:
                raise error

    if error:
        with pytest.raises(ValueError, match="oh"):
            install()
    else:
        install()
    assert current_stack() == before
