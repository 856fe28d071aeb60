"""The order in which the nodes of a graph run, and the edges that wait for the next step."""

from collections.abc import Sequence
from typing import TypeAlias

Edge: TypeAlias = tuple[str, str]
"""The names of source and target."""

Stage: TypeAlias = tuple[int, ...]
"""Nodes by number: one, or those of a cycle in their order within a step."""


def schedule(
    nodes: Sequence[str], edges: Sequence[Edge], inputs: Sequence[str], stateful: frozenset[str]
) -> tuple[tuple[Stage, ...], tuple[Edge, ...]]:
    """Stages in the order they run, and the edges that are cut so that every cycle is open.

    Args:
        nodes: names; of what may run next, the first does.
        edges: source and target.
        inputs: names of the inputs.
        stateful: names of the nodes whose outputs are preferred to wait.

    Returns:
        The stages, and the edges that bring the output of the step before.
    """
    reach = {node: _reachable(node, edges) for node in nodes}
    depth = _depths(inputs, edges)
    remaining, stages, late = list(nodes), [], []
    while remaining:
        stage = next(
            cycle
            for node in remaining
            if not _waits(cycle := _cycle_of(node, remaining, reach), remaining, edges)
        )
        order, cut = _open(stage, edges, depth, stateful)
        stages.append(tuple(nodes.index(node) for node in order))
        late += cut
        remaining = [node for node in remaining if node not in stage]
    return tuple(stages), tuple(edge for edge in edges if edge in late)


def _cycle_of(node: str, among: Sequence[str], reach: dict[str, set[str]]) -> list[str]:
    """`node` and those that share a cycle with it."""
    return [n for n in among if n == node or (n in reach[node] and node in reach[n])]


def _waits(stage: Sequence[str], remaining: Sequence[str], edges: Sequence[Edge]) -> bool:
    """Whether an edge leads to `stage` from a node outside of it that has not run."""
    return any(b in stage and a in remaining and a not in stage for a, b in edges)


def _open(
    stage: Sequence[str], edges: Sequence[Edge], depth: dict[str, int], stateful: frozenset[str]
) -> tuple[list[str], list[Edge]]:
    """The nodes of a cycle in the order they run, and the edges that are cut for that."""
    todo, order, late = list(stage), [], []
    while todo:
        waits = {n: [a for a, b in edges if b == n and a in todo] for n in todo}
        free = [n for n in todo if not waits[n]]
        after_state = [n for n in todo if stateful.issuperset(waits[n])]
        if free:
            node = free[0]
        elif after_state:
            node = max(after_state, key=lambda n: depth.get(n, 0))
        else:
            node = min(todo, key=lambda n: depth.get(n, 0))
        late += [(source, node) for source in waits[node]]
        order.append(node)
        todo.remove(node)
    return order, late


def _reachable(start: str, edges: Sequence[Edge]) -> set[str]:
    """The nodes reachable from `start`, which includes `start` only if it is in a cycle."""
    found: set[str] = set()
    front = {start}
    while front:
        front = {b for a, b in edges if a in front} - found
        found |= front
    return found


def _depths(inputs: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """How many edges there are at least from an input to each node."""
    depth = dict.fromkeys(inputs, 0)
    front = set(inputs)
    while front:
        level = 1 + max(depth[name] for name in front)
        front = {b for a, b in edges if a in front} - set(depth)
        depth.update(dict.fromkeys(front, level))
    return depth
