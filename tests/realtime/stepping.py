"""Runs the real methods of a class step by step, so that a test can try every interleaving.

A method's source is turned into a generator that pauses before each statement that touches what
two threads share. Between two pauses nothing else can happen to those variables, so all orders of
steps are all orders that threads could produce.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Generator, Iterator
from typing import Any

Steps = Generator[None, None, Any]


class _Pausing(ast.NodeTransformer):
    def __init__(self, shared: frozenset[str], stepped: frozenset[str]) -> None:
        self._shared = shared
        self._stepped = stepped

    def visit(self, node: ast.AST) -> Any:
        num_shared = self._num_shared(node)
        node = self.generic_visit(node)
        if isinstance(node, ast.Call) and self._is_stepped(node):
            return ast.YieldFrom(node)
        if not isinstance(node, ast.stmt) or num_shared == 0:
            return node
        assert num_shared == 1, f"two accesses in one step: {ast.unparse(node)}"
        return [ast.Expr(ast.Yield()), node]

    def _num_shared(self, node: ast.AST) -> int:
        """Accesses of the statement itself, without the statements inside it."""
        if not isinstance(node, ast.stmt):
            return 0
        assert not isinstance(node, ast.While) or isinstance(node.test, ast.Constant)
        inner: set[ast.AST] = set()
        for field in ("body", "orelse"):
            for child in getattr(node, field, ()):
                inner.update(ast.walk(child))
        return sum(
            isinstance(part, ast.Attribute) and part.attr in self._shared
            for part in ast.walk(node)
            if part not in inner
        )

    def _is_stepped(self, call: ast.Call) -> bool:
        function = call.func
        return (
            isinstance(function, ast.Attribute)
            and function.attr in self._stepped
            and isinstance(function.value, ast.Name)
        )


def stepped_class(
    cls: type,
    *,
    methods: tuple[str, ...],
    shared: tuple[str, ...],
    change: tuple[str, str] = ("", ""),
) -> type:
    """The class with these methods as generators.

    Args:
        methods: those to turn; they may call each other.
        shared: attributes that both sides touch.
        change: text of the source to replace, to see whether the exploration notices.
    """
    transformer = _Pausing(frozenset(shared), frozenset(methods))
    sources = [textwrap.dedent(inspect.getsource(getattr(cls, name))) for name in methods]
    changed = [source.replace(*change) if change[0] else source for source in sources]
    assert not change[0] or changed != sources, "there is nothing to change"
    members: dict[str, Any] = {}
    for source in changed:
        tree = ast.fix_missing_locations(transformer.visit(ast.parse(source)))
        # A method without a shared access still has to be a generator.
        tree.body[0].body.append(ast.parse("if False: yield").body[0])
        names: dict[str, Any] = {}
        exec(compile(tree, "<stepped>", "exec"), dict(inspect.getmodule(cls).__dict__), names)
        members.update(names)
    return type(f"Stepped{cls.__name__}", (cls,), members)


def position(steps: Steps) -> tuple[Any, ...]:
    """Where a generator stands and what its local variables hold, all the way down."""
    stack: list[Any] = []
    while steps is not None and steps.gi_frame is not None:
        frame = steps.gi_frame
        values = (value for value in frame.f_locals.values() if isinstance(value, int | tuple))
        stack.append((frame.f_code.co_name, frame.f_lasti, *values))
        steps = steps.gi_yieldfrom
    return tuple(stack)


class World:
    """Sides that take steps, and a state that tells whether this has been seen before."""

    def __init__(
        self,
        sides: dict[str, Steps],
        state: Callable[[], tuple[Any, ...]],
        at_end: Callable[[], None],
    ) -> None:
        self._sides = dict(sides)
        self._state = state
        self.at_end = at_end

    def runnable(self) -> tuple[str, ...]:
        return tuple(self._sides)

    def step(self, side: str) -> None:
        try:
            next(self._sides[side])
        except StopIteration:
            del self._sides[side]

    def key(self) -> tuple[Any, ...]:
        return (self._state(), *((name, position(side)) for name, side in self._sides.items()))


def explore(new_world: Callable[[], World]) -> Iterator[int]:
    """Runs through every interleaving, in so far as it leads to states not seen before.

    Yields:
        The length of each schedule that was run to its end.
    """
    seen: set[tuple[Any, ...]] = set()
    pending: list[tuple[str, ...]] = [()]
    while pending:
        schedule = pending.pop()
        world = new_world()
        for side in schedule:
            world.step(side)
        while (key := world.key()) not in seen:
            seen.add(key)
            sides = world.runnable()
            if not sides:
                world.at_end()
                yield len(schedule)
                break
            pending.extend((*schedule, side) for side in sides[1:])
            world.step(sides[0])
            schedule = (*schedule, sides[0])
