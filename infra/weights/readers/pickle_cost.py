"""What a pickle would cost to run, told from its opcodes without running any.

A few bytes of a pickle can make an object of any size: a tuple of two that are both the tuple before, sixty times over,
takes years to hash, and one that is half a million tuples deep ends the process. So every object on the unpickler's
stack is weighed here by what it would be if nothing in it were shared, and a pickle that is heavier or deeper than
tensors by name could be is not run.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import BinaryIO

STEPS = 2_000_000  # opcodes; TRACER's checkpoint, with 1653 tensors, has 51 thousand
WORK = 8_000_000  # weight of all that the steps take from the stack; DensePose's, values and all, is 1.3 to 1.8 million
DEPTH = 100  # objects in objects; those of published checkpoints lie seven deep
_CHARACTERS = 1024  # of text, or bytes, that weigh as much as one object

_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_GROW = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}  # put what they take into what stays


class TooCostly(ValueError):
    """The pickle is none of tensors; the text is the end of a sentence about the file."""


def check_cost(file: BinaryIO) -> None:
    """Read the pickle that begins where the file stands; it stands behind it then.

    Raises `TooCostly`, and `ValueError` or `LookupError` where the pickle is damaged.
    """
    scales = _Scales()
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name in _PUT and not 0 <= argument <= step:  # the unpickler would make room for all numbers below
            raise TooCostly(f"numbers an object {argument} after {step} steps; it was not read further")
        scales.step(opcode, argument)
        if step == STEPS or scales.work > WORK or scales.depth > DEPTH:
            raise TooCostly("has far more in its pickle than tensors need; it was not read further")


@dataclass
class _Measures:
    weight: int
    depth: int


class _Scales:
    """The unpickler's stack and memo with weight and depth in the place of every object, shared where that is.

    `work` is the weight of all that was taken from the stack so far, `depth` that of the deepest object.
    """

    def __init__(self) -> None:
        self.work = self.depth = 0
        self._stack: list[_Measures] = []
        self._marks: list[int] = []
        self._memo: dict[int, _Measures] = {}

    def step(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        name = opcode.name
        if name in _PUT or name == "MEMOIZE":
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = self._stack[-1]
        elif name in _GET:
            self._stack.append(self._memo[argument])
        elif name == "DUP":
            self._stack.append(self._stack[-1])
        elif name == "MARK":
            self._marks.append(len(self._stack))
        elif name == "POP" and self._marks[-1:] == [len(self._stack)]:
            self._marks.pop()
        else:
            self._move(opcode, argument)

    def _move(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        taken = self._taken(opcode.stack_before)
        text = len(argument) if isinstance(argument, (str, bytes)) else 0
        kept = taken.pop(0) if opcode.name in _GROW else _Measures(1 + text // _CHARACTERS, 0)
        weight = sum(each.weight for each in taken)
        kept.weight += weight
        kept.depth = max(kept.depth, *(1 + each.depth for each in taken), 0)
        self.work += weight
        self.depth = max(self.depth, kept.depth)
        if opcode.stack_after:
            self._stack.append(kept)

    def _taken(self, kinds: list[pickletools.StackObject]) -> list[_Measures]:
        """What an opcode takes from the stack, the lowest first; it may take all down to the last mark."""
        at = len(self._stack) - len(kinds)
        if pickletools.markobject in kinds:
            at = self._marks.pop() - kinds.index(pickletools.markobject)
        if at < 0:
            raise ValueError("it takes more from its stack than is there")
        taken = self._stack[at:]
        del self._stack[at:]
        return taken
