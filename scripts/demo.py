"""The sample meeting from the terminal, against the running stack: `make demo`.

`python -m scripts.demo http://host:port` does it on an application that runs elsewhere, a container's for instance.

Exit code 0 only when every step was real: words heard, two speakers, minutes with content, a diagram that is valid.
"""

import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.console import say
from scripts.environment import PORTS, SetupError, service_url, variables
from scripts.run import is_ready

STEPS = {
    "asr": "transcription",
    "diarize": "qui parle",
    "join": "assemblage",
    "minutes": "compte rendu",
    "diagram": "diagramme",
}
FINAL = {"done", "failed", "cancelled"}
READY_WAIT_S = 120.0
MIN_NODES = 4
_NODE = re.compile(r"^\s*(\w+)\s*(?:\[|\(|\{|>|@\{)", re.MULTILINE)
_BAR = 24


class DemoError(Exception):
    """Why the demonstration cannot go on, or was not what it should be."""


class Stack:
    """The running stack, as app shows it."""

    def __init__(self, env: Mapping[str, str], url: str | None = None) -> None:
        self.url = url or service_url("app", env)
        # From elsewhere only app is in sight, which is ready when what it needs is.
        self._urls = {"app": url} if url else {name: service_url(name, env) for name in PORTS}
        keys = env.get("OPENAI_API_KEYS", "").split(",")
        self._headers = {"Authorization": f"Bearer {keys[0].strip()}"} if keys[0].strip() else {}

    def wait(self) -> None:
        """Until every service can work. Raises DemoError when app is not there at all."""
        if not self._get_quietly("/health"):
            raise DemoError(f"Frigo ne répond pas à {self.url} : lancez « make run » dans un autre terminal.")
        waiting = [name for name, url in self._urls.items() if "," not in url]
        deadline = time.monotonic() + READY_WAIT_S
        said = False
        while waiting := [name for name in waiting if not is_ready(self._urls[name])]:
            if time.monotonic() > deadline:
                raise DemoError(f"Pas encore prêt : {', '.join(waiting)}. Voyez les journaux, puis réessayez.")
            if not said:
                said = True
                say(f"On attend {', '.join(waiting)}…")
            time.sleep(0.5)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer. Raises DemoError with the service's own message."""
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if data else {})
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise DemoError(f"{method} {path} : {_message(error)}") from error
        except (OSError, ValueError) as error:
            raise DemoError(f"{method} {path} : {error}") from error

    def events(self, path: str) -> Iterator[dict[str, Any]]:
        """The JSON of each server-sent event."""
        request = urllib.request.Request(self.url + path, headers=self._headers)
        try:
            with urllib.request.urlopen(request, timeout=600) as stream:
                for raw in stream:
                    line = raw.decode().strip()
                    if line.startswith("data:") and line != "data: [DONE]":
                        yield json.loads(line.removeprefix("data:"))
        except (OSError, ValueError) as error:
            raise DemoError(f"Le suivi de la réunion s'est interrompu : {error}") from error

    def _get_quietly(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"réponse {error.code}"


class Bars:
    """One bar per step: redrawn in place on a terminal, one line per finished step elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._drawn = False
        self._said: set[str] = set()

    def show(self, steps: list[dict[str, Any]]) -> None:
        if self._live:
            if self._drawn:
                sys.stdout.write(f"\x1b[{len(steps)}F")
            for step in steps:
                sys.stdout.write(f"\x1b[2K{bar(step)}\n")
            sys.stdout.flush()
            self._drawn = True
            return
        for step in steps:
            if step["state"] in FINAL and step["name"] not in self._said:
                self._said.add(step["name"])
                say(bar(step))


def bar(step: Mapping[str, Any]) -> str:
    """`transcription  ███████░░░  62 %  3.1 s`"""
    progress = 1.0 if step["state"] == "done" else float(step.get("progress") or 0)
    full = round(_BAR * progress)
    mark = {"done": "✓", "failed": "✗", "cancelled": "✗"}.get(step["state"], " ")
    seconds = f"  {step['seconds']:.1f} s" if step.get("seconds") is not None else ""
    name = STEPS.get(step["name"], step["name"])
    return f"  {mark} {name:<14} {'█' * full}{'░' * (_BAR - full)} {progress:4.0%}{seconds}"


def transcript(meeting: Mapping[str, Any]) -> str:
    names = meeting["speakers"]
    return "\n".join(
        f"  [{segment['start']:5.1f} s] {names.get(segment['speaker'], segment['speaker'])} : {segment['text']}"
        for segment in meeting["segments"]
    )


def minutes(found: Mapping[str, Any]) -> str:
    lines = [f"  {found.get('summary', '')}".rstrip()]
    for title, key in (("Décisions", "decisions"), ("Actions", "actions"), ("Points ouverts", "open_points")):
        if found.get(key):
            lines += [f"  {title} :", *(f"    - {_item(item)}" for item in found[key])]
    return "\n".join(lines)


def _item(item: object) -> str:
    if isinstance(item, Mapping):
        if item.get("text"):
            return str(item["text"])
        who, what, when = (str(item.get(key) or "").strip() for key in ("who", "what", "when"))
        return f"{who} : {what}" + (f" ({when})" if when else "") if who else what
    return str(item)


def nodes(mermaid: str) -> int:
    """How many nodes a flowchart declares."""
    keywords = {"flowchart", "graph", "subgraph", "classDef", "class", "style", "linkStyle", "click"}
    return len({name for name in _NODE.findall(mermaid) if name not in keywords})


def check(meeting: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[str]:
    """What was not real; empty when all was."""
    wrong = [
        f"étape {STEPS.get(step['name'], step['name'])} : {step['state']}"
        + (f" ({step['error']['message']})" if step.get("error") else "")
        for step in meeting["steps"]
        if step["state"] != "done"
    ]
    if not any(segment.get("words") for segment in meeting["segments"]):
        wrong.append("aucun mot n'a été reconnu")
    if len({segment["speaker"] for segment in meeting["segments"]}) < 2:
        wrong.append("les deux personnes n'ont pas été distinguées")
    found = meeting.get("minutes") or {}
    if not any(found.get(key) for key in ("summary", "decisions", "actions", "open_points")):
        wrong.append("le compte rendu est vide")
    diagram = meeting.get("diagram") or {}
    if diagram.get("valid") is not True:
        wrong.append("le diagramme n'est pas valide")
    elif verdict.get("valid") is not True:
        wrong.append(f"l'analyseur Mermaid refuse le diagramme : {verdict.get('error')}")
    elif nodes(diagram["mermaid"]) < MIN_NODES:
        wrong.append(f"le diagramme a moins de {MIN_NODES} étapes")
    return wrong


def run(stack: Stack) -> int:
    """The whole demonstration; the exit code."""
    stack.wait()
    start = time.monotonic()
    meeting_id = stack.call("POST", "/api/meetings/sample")["id"]
    say(f"Réunion d'exemple (voix de synthèse) : {stack.url}/reunions/{meeting_id}\n")
    bars = Bars()
    for event in stack.events(f"/api/meetings/{meeting_id}/events"):
        if "steps" in event:
            bars.show(event["steps"])
        if event.get("state") in FINAL:
            break
    meeting = stack.call("GET", f"/api/meetings/{meeting_id}")
    seconds = time.monotonic() - start
    say(f"\nTranscription ({meeting['duration'] or 0:.0f} s d'enregistrement, langue : {meeting['language']})")
    say(transcript(meeting))
    if meeting.get("minutes"):
        say(f"\nCompte rendu\n{minutes(meeting['minutes'])}")
    for warning in meeting["warnings"]:
        say(f"\nAvertissement : {warning}")
    models = ", ".join(f"{service} {model}" for service, model in meeting["models"].items() if model)
    say(f"\nModèles : {models}. Traitée en {seconds:.1f} s.")
    mermaid = (meeting.get("diagram") or {}).get("mermaid", "")
    verdict = stack.call("POST", "/api/diagrams/validate", {"mermaid": mermaid}) if mermaid else {}
    wrong = check(meeting, verdict)
    if wrong:
        print("\nLa démonstration n'est pas complète : " + " ; ".join(wrong) + ".", file=sys.stderr)
    if mermaid:
        say(f"\nDiagramme Mermaid ({'valide' if verdict.get('valid') is True else 'NON VÉRIFIÉ'})\n\n{mermaid.strip()}")
    return 1 if wrong else 0


def main() -> int:
    try:
        return run(Stack(variables(), sys.argv[1].rstrip("/") if len(sys.argv) > 1 else None))
    except (SetupError, DemoError) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nDémonstration interrompue.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
