"""The shape of a process: a random tree of steps, and the edges that it means."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from gpt.embedded.training.clause import Edge, Graph, Node


@dataclass
class Act:
    node: Node


@dataclass
class Decision:
    node: Node
    yes: list[Step]
    no: list[Step] | None
    form: str = "if"  # if | if_after | unless | check | question


@dataclass
class Loop:
    node: Node
    body: list[Act]
    form: str = "while"  # while | until


@dataclass
class Parallel:
    branches: list[list[Step]]


@dataclass
class Back:
    """Go back to an earlier step: « on recommence »."""

    target: Node
    form: str = "previous"  # previous | first | step


@dataclass
class Before:
    """« Avant de B, A »: A happens first."""

    first: Act
    second: Act
    swapped: bool = True


Step = Act | Decision | Loop | Parallel | Back | Before


@dataclass
class Shape:
    """How a random process looks; probabilities per step."""

    decision: float = 0.22
    loop: float = 0.06
    parallel: float = 0.06
    before: float = 0.03
    numbered: bool = False
    earlier: list[Node] = field(default_factory=list)


def random_steps(rng: random.Random, graph: Graph, budget: int, shape: Shape, depth: int = 0) -> list[Step]:
    """Steps that use up about `budget` nodes."""
    steps: list[Step] = []
    while budget > 0:
        roll = rng.random()
        if roll < shape.decision and budget >= 2 and depth < 2:
            node = graph.add("decision")
            yes_size = 1 if depth or rng.random() < 0.65 else rng.randint(2, 3)
            yes = _branch(rng, graph, yes_size, shape, depth, steps)
            no: list[Step] | None = None
            if rng.random() < 0.68:
                if depth == 0 and budget > 4 and rng.random() < 0.22:
                    inner = graph.add("decision")
                    no = [
                        Decision(
                            inner,
                            _branch(rng, graph, 1, shape, 1, steps),
                            _branch(rng, graph, 1, shape, 1, steps) if rng.random() < 0.6 else None,
                        )
                    ]
                else:
                    no = _branch(rng, graph, 1 if rng.random() < 0.75 else 2, shape, depth, steps)
            form = "if"
            if no is None and len(yes) == 1 and isinstance(yes[0], Act):
                form = rng.choices(["if", "if_after", "unless"], [0.72, 0.18, 0.10])[0]
            elif no is not None:
                form = rng.choices(["if", "check", "question"], [0.72, 0.17, 0.11])[0]
            steps.append(Decision(node, yes, no, form))
            budget -= 1 + len(yes) + (len(no) if no else 0)
        elif roll < shape.decision + shape.loop and budget >= 2 and depth == 0:
            form = rng.choice(["while", "until"])
            body = [Act(graph.add("action")) for _ in range(1 if rng.random() < 0.8 else 2)]
            shape.earlier.extend(act.node for act in body)
            steps.append(Loop(graph.add("decision"), body, form))
            budget -= 1 + len(body)
        elif roll < shape.decision + shape.loop + shape.parallel and budget >= 2 and depth == 0:
            count = 3 if budget > 3 and rng.random() < 0.25 else 2
            steps.append(Parallel([[Act(graph.add("action"))] for _ in range(count)]))
            budget -= count
        elif roll < shape.decision + shape.loop + shape.parallel + shape.before and budget >= 2 and depth == 0:
            steps.append(Before(Act(graph.add("action")), Act(graph.add("action"))))
            budget -= 2
        else:
            act = Act(graph.add("action"))
            steps.append(act)
            shape.earlier.append(act.node)
            budget -= 1
    return steps


def _branch(rng: random.Random, graph: Graph, size: int, shape: Shape, depth: int, before: list[Step]) -> list[Step]:
    """The steps of one branch: some actions, maybe an end or a jump back."""
    steps: list[Step] = [Act(graph.add("action")) for _ in range(size)]
    roll = rng.random()
    if roll < 0.10:
        if rng.random() < 0.5:
            return [Act(graph.add("end"))]
        steps.append(Act(graph.add("end")))
    elif roll < 0.20 and before and isinstance(before[-1], Act) and shape.earlier and not depth:
        target = before[-1].node
        form = "previous"
        if shape.numbered:
            target, form = rng.choice([step for step in before if isinstance(step, Act)]).node, "step"
        elif rng.random() < 0.35 and isinstance(before[0], Act):
            target, form = before[0].node, "first"
        return [Back(target, form)] if rng.random() < 0.55 else [*steps, Back(target, form)]
    return steps


def connect(graph: Graph, steps: Sequence[Step], yes: str, no: str) -> None:
    """Fill `graph.edges` from the tree."""

    def link(sources: list[tuple[Node, str]], node: Node) -> None:
        graph.edges.extend(Edge(source.number, node.number, label) for source, label in sources)

    def walk(items: Sequence[Step], sources: list[tuple[Node, str]]) -> list[tuple[Node, str]]:
        for step in items:
            if isinstance(step, Act):
                link(sources, step.node)
                sources = [] if step.node.kind == "end" else [(step.node, "")]
            elif isinstance(step, Before):
                sources = walk([step.first, step.second], sources)
            elif isinstance(step, Back):
                link(sources, step.target)
                sources = []
            elif isinstance(step, Parallel):
                sources = [out for branch in step.branches for out in walk(branch, sources)]
            elif isinstance(step, Loop):
                node = step.node
                if step.form == "while":
                    link(sources, node)
                    link(walk(step.body, [(node, yes)]), node)
                    sources = [(node, no)]
                else:
                    link(walk(step.body, sources), node)
                    first = step.body[0]
                    link([(node, no)], first.node)
                    sources = [(node, yes)]
            elif step.form == "unless":
                link(sources, step.node)
                sources = [*walk(step.yes, [(step.node, no)]), (step.node, yes)]
            else:
                link(sources, step.node)
                outs = walk(step.yes, [(step.node, yes)])
                outs += walk(step.no, [(step.node, no)]) if step.no is not None else [(step.node, no)]
                sources = outs
        return sources

    walk(steps, [])
