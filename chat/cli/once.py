"""One question, one answer: from the command line or a pipe."""

from __future__ import annotations

import json
import sys
from typing import Any

from chat.cli.errors import CommandError
from chat.cli.files import question, read_attachment
from chat.cli.options import Options
from chat.cli.screen import Screen
from chat.cli.server import Answer, Server


def answer_once(server: Server, options: Options, screen: Screen) -> int:
    """Write the answer as it comes; with `--json`, all that is known of it."""
    text = _asked(options)
    if text is None and not options.files:
        raise CommandError("Rien à demander : donnez un texte, en argument ou par un tube (--aide).")
    messages: list[dict[str, Any]] = [{"role": "system", "content": options.system}] if options.system else []
    messages.append(question(text or "", [read_attachment(path) for path in options.files]))
    answer = Answer()
    for what, piece in server.answer(messages, options.model, options.tools, answer):
        if options.json:
            continue
        if what == "text":
            screen.write(piece)
        elif what == "run" and screen.terminal:
            screen.run(piece)
    if options.json:
        _print_json(_told(answer))
    elif not answer.text.endswith("\n"):
        screen.write("\n")
    if answer.finish == "length":
        screen.note("[réponse coupée : le modèle n'avait plus de place]")
    return 0


def draw_once(server: Server, options: Options, screen: Screen) -> int:
    """Write the diagram, which is valid; what is not drawn is an error, and nothing is written."""
    given = [read_attachment(path) for path in options.files]
    if any(one.image for one in given):
        raise CommandError("Un diagramme se fait d'un texte, pas d'une image.")
    text = "\n\n".join([*(one.text for one in given), *filter(None, [_asked(options)])])
    if not text.strip():
        raise CommandError("Rien à dessiner : donnez un texte, en argument ou par un tube (--aide).")
    wanted = {"kind": options.kind, "direction": options.direction, "model": options.model}
    body: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    if options.instruction is not None:
        body |= {"mermaid": text, "instruction": options.instruction}
    elif _is_object(text):
        body["pvb"] = text
    else:
        body["text"] = text
    drawn = server.draw(body)
    if options.json:
        _print_json(drawn)
    else:
        screen.write(f"{str(drawn['mermaid']).rstrip()}\n")
    for warning in drawn.get("warnings") or ():
        screen.note(str(warning))
    return 0


def _asked(options: Options) -> str | None:
    """The command line's text, then what a pipe brings."""
    if sys.stdin is None or sys.stdin.isatty():
        return options.text
    piped = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    return "\n\n".join(filter(None, [options.text, piped])) or None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _told(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {
        "model": answer.model,
        "content": answer.text,
        "finish_reason": answer.finish,
        "usage": answer.usage,
    }
    if answer.reasoning:
        told["reasoning_content"] = answer.reasoning
    if answer.runs:
        told["tool_runs"] = list(answer.runs.values())
    return told


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
