"""Look for what is missing in Compose's and Render's files: `python -m common.check_deploy [FILE …]`.

Without a file: docker-compose.yml, docker-compose.*.yml and render.yaml of this folder. Each problem is one line:
a variable that a service needs, a port that disagrees, an address that leads to nobody. Exits 0 when there is none,
1 when there are, 2 when a file cannot be read.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

PORTS = {"app": 5000, "chat": 5001, "gpt": 5002, "asr": 5003, "diarize": 5004}
NEEDS = {"app": ("chat", "gpt", "asr", "diarize"), "chat": ("gpt", "asr")}
_VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<default>:?[-?+][^{}]*)?\}")
_SERVICE_OF = re.compile(r"(?P<service>app|chat|gpt|asr|diarize)/Dockerfile\.")


class UnreadableError(Exception):
    """A file that is not what its name says."""


def problems(path: Path, env: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong in one file, in French. Raises `UnreadableError`."""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader that knows Compose's tags
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise UnreadableError(f"{path} : {str(error).splitlines()[0]}") from error
    services = content.get("services") if isinstance(content, dict) else None
    if not services:
        raise UnreadableError(f"{path} : aucun service.")
    if isinstance(services, list):
        return list(_render(content, path.parent))
    return list(_compose(services, text, path, dict(os.environ) if env is None else env))


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped
    """YAML with Compose's `!reset` and `!override`."""


_Loader.add_constructor("!reset", lambda _loader, _node: None)
_Loader.add_multi_constructor(
    "!override", lambda loader, _suffix, node: loader.construct_object(_plain(node), deep=True)
)


def _plain(node: Any) -> Any:
    node.tag = {
        "scalar": "tag:yaml.org,2002:str",
        "sequence": "tag:yaml.org,2002:seq",
        "mapping": "tag:yaml.org,2002:map",
    }[node.id]
    return node


# -- Compose


def _compose(services: Mapping[str, Any], text: str, path: Path, env: Mapping[str, str]) -> Iterator[str]:
    over = path.name != "docker-compose.yml" and path.with_name("docker-compose.yml").is_file()
    for name, service in services.items():
        for other in service.get("depends_on") or ():
            if other not in services and not over:
                yield f"{name} : attend « {other} », qui n'est pas un service du fichier."
        yield from _build(name, service, path.parent)
        if name in PORTS and not over:
            yield from _compose_service(name, service, services)
    for name in PORTS:
        if name not in services and not over:
            yield f"Le service {name} manque."
    known = set(env) | _env_file(path.parent / ".env")
    code = "\n".join(line.split(" #")[0] for line in text.splitlines() if not line.lstrip().startswith("#"))
    for match in _VARIABLE.finditer(code):
        if not match["default"] and match["name"] not in known:
            yield f"La variable {match['name']} n'a ni valeur ni défaut."


def _compose_service(name: str, service: Mapping[str, Any], services: Mapping[str, Any]) -> Iterator[str]:
    given = _environment(service)
    port = given.get("PORT", str(PORTS[name]))
    for published in service.get("ports") or ():
        inside = str(published.get("target") if isinstance(published, dict) else published).rpartition(":")[2]
        if inside.partition("/")[0] != port:
            yield f"{name} : le port {inside} est publié, mais le service écoute sur {port} (PORT)."
    for peer in NEEDS.get(name, ()):
        variable = f"{peer.upper()}_API_URL"
        if variable not in given:
            yield f"{name} : la variable {variable} manque."
            continue
        for url in _resolved(given[variable]).split(","):
            yield from _compose_address(name, variable, url.strip(), services)
    if service.get("read_only") and not any(
        _target(volume) == given.get("DATA_DIR", "/data") for volume in service.get("volumes") or ()
    ):
        yield f"{name} : racine en lecture seule, et rien n'est monté sur DATA_DIR ({given.get('DATA_DIR', '/data')})."


def _compose_address(name: str, variable: str, url: str, services: Mapping[str, Any]) -> Iterator[str]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    host = parts.hostname or ""
    if host not in services:
        if "." not in host:
            yield f"{name} : {variable} mène à « {host} », qui n'est pas un service du fichier."
        return
    port = _environment(services[host]).get("PORT", str(PORTS.get(host, "")))
    if port and str(parts.port or 80) != port:
        yield f"{name} : {variable} mène au port {parts.port or 80} de {host}, qui écoute sur {port}."


def _environment(service: Mapping[str, Any]) -> dict[str, str]:
    given = service.get("environment") or {}
    if isinstance(given, list):
        given = dict(item.partition("=")[::2] for item in given)
    return {key: _resolved("" if value is None else str(value)) for key, value in given.items()}


def _resolved(value: str) -> str:
    """The value with Compose's defaults in the place of variables."""
    return _VARIABLE.sub(lambda match: (match["default"] or "").lstrip(":").removeprefix("-"), value)


def _target(volume: Any) -> str:
    return str(volume.get("target") if isinstance(volume, dict) else volume.split(":")[1] if ":" in volume else volume)


def _env_file(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    return set(re.findall(r"^\s*(?:export )?(\w+)=", path.read_text(encoding="utf-8"), re.MULTILINE))


def _build(name: str, service: Mapping[str, Any], root: Path) -> Iterator[str]:
    build = service.get("build")
    if isinstance(build, dict) and "dockerfile" in build and not (root / build["dockerfile"]).is_file():
        yield f"{name} : {build['dockerfile']} n'existe pas."


# -- Render


def _render(content: Mapping[str, Any], root: Path) -> Iterator[str]:
    services = {service.get("name", "?"): service for service in content["services"]}
    groups = {group["name"]: group.get("envVars") or [] for group in content.get("envVarGroups") or ()}
    for name in PORTS:
        if f"frigo-{name}" not in services:
            yield f"Le service frigo-{name} manque."
    tokens = set()
    for name, service in services.items():
        given, wrong = _render_variables(name, service, groups, services, content)
        yield from wrong
        if "SERVICE_TOKEN" in given:
            tokens.add(name)
        yield from _render_service(name, service, given, root)
    for name in sorted(set(services) - tokens) if tokens else ():
        if _SERVICE_OF.search(str(services[name].get("dockerfilePath"))):
            yield f"{name} : la variable SERVICE_TOKEN manque, les autres services l'ont."
    if not tokens:
        yield "SERVICE_TOKEN n'est donnée à aucun service : ils sont ouverts à tous."


def _render_service(name: str, service: Mapping[str, Any], given: Mapping[str, Any], root: Path) -> Iterator[str]:
    file = str(service.get("dockerfilePath", ""))
    match = _SERVICE_OF.search(file)
    if service.get("runtime") != "docker" or match is None:
        yield f"{name} : runtime docker et dockerfilePath sont attendus."
        return
    if not (root / file).is_file():
        yield f"{name} : {file} n'existe pas."
    if service.get("type") == "web" and service.get("healthCheckPath") != "/health":
        yield f"{name} : healthCheckPath: /health manque."
    if not str(given.get("PORT", "")).isdecimal():
        yield f"{name} : la variable PORT manque."
    for peer in NEEDS.get(match["service"], ()):
        if f"{peer.upper()}_API_URL" not in given:
            yield f"{name} : la variable {peer.upper()}_API_URL manque."


def _render_variables(
    name: str,
    service: Mapping[str, Any],
    groups: Mapping[str, Any],
    services: Mapping[str, Any],
    content: Mapping[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """The service's variables, and what is wrong in where they come from."""
    given: dict[str, Any] = {}
    wrong = []
    databases = {base["name"] for base in content.get("databases") or ()}
    for item in service.get("envVars") or ():
        if "fromGroup" in item:
            if item["fromGroup"] not in groups:
                wrong.append(f"{name} : le groupe « {item['fromGroup']} » n'existe pas.")
            for one in groups.get(item["fromGroup"], ()):
                given[one["key"]] = one.get("value", True)
            continue
        source = item.get("fromService") or {}
        if source:
            target = services.get(str(source.get("name")))
            if target is None:
                wrong.append(
                    f"{name} : {item['key']} vient de « {source.get('name')} », qui n'est pas un service du fichier."
                )
            elif target.get("type") != source.get("type"):
                kinds = f"{target.get('type')}, pas {source.get('type')}"
                wrong.append(f"{name} : {item['key']} : {source['name']} est de type {kinds}.")
        base = (item.get("fromDatabase") or {}).get("name")
        if base and base not in databases:
            wrong.append(f"{name} : {item['key']} vient de la base « {base} », qui n'est pas dans le fichier.")
        given[item["key"]] = item.get("value", True)
    return given, wrong


def main(arguments: Sequence[str]) -> int:
    """The command. Gives its exit status."""
    paths = [Path(word) for word in arguments] or [
        *sorted(Path().glob("docker-compose*.yml")),
        *Path().glob("render.yaml"),
    ]
    if not paths:
        sys.stderr.write("Ni docker-compose.yml ni render.yaml ici.\n")
        return 2
    found = 0
    for path in paths:
        try:
            wrong = problems(path)
        except UnreadableError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        sys.stdout.write("".join(f"{path} : {line}\n" for line in wrong) or f"{path} : rien à redire.\n")
        found += len(wrong)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
