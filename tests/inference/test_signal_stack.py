"""Signals of the main thread keep their stack: on OpenVINO's they would overflow under AMX."""

import subprocess
import sys

import pytest

STACK = """
import ctypes
import lungscore
lungscore.Segmenter(engine="openvino")
class Stack(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
stack = Stack()
ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
print(stack.flags)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the stack")
def test_a_loaded_network_leaves_the_main_thread_without_a_stack_for_signals() -> None:
    done = subprocess.run([sys.executable, "-c", STACK], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "2", done.stderr  # SS_DISABLE
