"""Look for what is missing in Compose's and Render's files: `python -m common.check_deploy [FILE …]`.

Without a file: docker-compose.yml, docker-compose.*.yml and render.yaml of this folder. Each problem is one line:
a variable that a service needs, a port that disagrees, an address that leads to nobody, replicas that share nothing.
A docker-compose.NAME.yml is read over docker-compose.yml, as Compose does. Exits 0 when there is no problem, 1 when
there are, 2 when a file cannot be read.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    content = _read(path)
    services = content["services"]
    if isinstance(services, list):
        return list(_render(content, path.parent))
    text = path.read_text(encoding="utf-8")
    return list(_compose(services, text, path, dict(os.environ) if env is None else env))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  safe, see below
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise UnreadableError(f"{path} : {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not content.get("services"):
        raise UnreadableError(f"{path} : aucun service.")
    return content


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped
    """A SafeLoader that knows Compose's `!reset` and `!override`."""


@dataclass(frozen=True)
class _Instead:
    """What `!override` says: the value takes the place of the one under it."""

    value: Any


def _instead(loader: Any, node: Any) -> _Instead:
    if isinstance(node, yaml.MappingNode):
        return _Instead(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return _Instead(loader.construct_sequence(node, deep=True))
    return _Instead(loader.construct_scalar(node))


_Loader.add_constructor("!reset", lambda _loader, _node: None)
_Loader.add_constructor("!override", _instead)


# -- Compose


def _compose(services: Mapping[str, Any], text: str, path: Path, env: Mapping[str, str]) -> Iterator[str]:
    services = _whole(services, path)
    for name, service in services.items():
        for other in service.get("depends_on") or ():
            if other not in services:
                yield f"{name} : attend « {other} », qui n'est pas un service du fichier."
        yield from _build(name, service, path.parent)
        yield from _mounted(name, service, path.parent, services)
        if kind := _kind(name, service):
            yield from _compose_service(name, kind, service, services)
            yield from _hidden(name, kind, (service.get("deploy") or {}).get("replicas"), service.get("scale"))
    for kind in PORTS:
        if kind not in services:
            yield f"Le service {kind} manque."
    yield from _compose_replicas(services)
    known = set(env) | _env_file(path.parent / ".env")
    code = "\n".join(line.split(" #")[0] for line in text.splitlines() if not line.lstrip().startswith("#"))
    for match in _VARIABLE.finditer(code):
        if not match["default"] and match["name"] not in known:
            yield f"La variable {match['name']} n'a ni valeur ni défaut."


def _whole(services: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The services with what they extend and, for a docker-compose.NAME.yml, those of the file it is given over."""
    under = path.with_name("docker-compose.yml")
    base: Mapping[str, Any] = {}
    if path.name != under.name and under.is_file():
        base = _read(under).get("services") or {}
    found = dict(base)
    for name, service in services.items():
        extended = service.get("extends") or {}
        first = _extended(extended, path, services) if extended else {}
        found[name] = _merged(_merged(found.get(name) or {}, first), service)
    return found


def _extended(extended: Any, path: Path, services: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(extended, str):
        extended = {"service": extended}
    others = _read(path.with_name(extended["file"])).get("services") or {} if "file" in extended else services
    if extended.get("service") not in others:
        raise UnreadableError(f"{path} : « {extended.get('service')} », qui est étendu, n'existe pas.")
    service: Mapping[str, Any] = others[extended["service"]]
    return service


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A service as Compose puts two files together: maps and lists grow, `!reset` takes away."""
    found = dict(under)
    for key, value in over.items():
        before = found.get(key)
        if value is None:
            found.pop(key, None)
        elif isinstance(value, _Instead):
            found[key] = value.value
        elif key == "environment":
            found[key] = _pairs(before) | _pairs(value)
        elif isinstance(value, dict) and isinstance(before, dict):
            found[key] = before | value
        elif isinstance(value, list) and isinstance(before, list):
            found[key] = [*before, *value]
        elif isinstance(value, dict) and isinstance(before, list):  # depends_on, short then long
            found[key] = dict.fromkeys(before) | value
        elif isinstance(value, list) and isinstance(before, dict):
            found[key] = before | dict.fromkeys(value)
        else:
            found[key] = value
    return found


def _kind(name: str, service: Mapping[str, Any]) -> str | None:
    """Which of the five services it is, by what it is built from; None for a database or a proxy."""
    build = service.get("build")
    match = _SERVICE_OF.match(str(build.get("dockerfile"))) if isinstance(build, dict) else None
    return match["service"] if match else name if name in PORTS else None


def _compose_service(name: str, kind: str, service: Mapping[str, Any], services: Mapping[str, Any]) -> Iterator[str]:
    given = _environment(service)
    port = given.get("PORT", str(PORTS[kind]))
    for published in service.get("ports") or ():
        inside = str(published.get("target") if isinstance(published, dict) else published).rpartition(":")[2]
        if inside.partition("/")[0] != port:
            yield f"{name} : le port {inside} est publié, mais le service écoute sur {port} (PORT)."
    for peer in NEEDS.get(kind, ()):
        variable = f"{peer.upper()}_API_URL"
        if variable not in given:
            yield f"{name} : la variable {variable} manque."
            continue
        for url in given[variable].split(","):
            yield from _compose_address(name, variable, url.strip(), services)
    if service.get("read_only") and _data(service) is None:
        yield f"{name} : racine en lecture seule, et rien n'est monté sur DATA_DIR ({given.get('DATA_DIR', '/data')})."


def _compose_address(name: str, what: str, url: str, services: Mapping[str, Any]) -> Iterator[str]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    host = parts.hostname or ""
    if host not in services:
        if "." not in host:
            yield f"{name} : {what} mène à « {host} », qui n'est pas un service du fichier."
        return
    kind = _kind(host, services[host])
    port = _environment(services[host]).get("PORT", str(PORTS[kind]) if kind else "")
    if port and str(parts.port or 80) != port:
        yield f"{name} : {what} mène au port {parts.port or 80} de {host}, qui écoute sur {port}."


def _compose_replicas(services: Mapping[str, Any]) -> Iterator[str]:
    """Two of app or of chat are one house only when their state is the same."""
    for kind in ("app", "chat"):
        several = {name: service for name, service in services.items() if _kind(name, service) == kind}
        if len(several) < 2:
            continue
        for variable in ("DATABASE_URL", "REDIS_URL"):
            values = {_environment(service).get(variable, "") for service in several.values()}
            if len(values) > 1 or not all(values):
                yield f"{', '.join(several)} : {variable} doit leur être donnée, la même."
        if kind == "app" and len({_data(service) for service in several.values()}) > 1:
            yield f"{', '.join(several)} : DATA_DIR doit être le même volume (les enregistrements des réunions)."


def _mounted(name: str, service: Mapping[str, Any], root: Path, services: Mapping[str, Any]) -> Iterator[str]:
    """Files of the repository that a container gets; the addresses of a Caddyfile lead to services."""
    for volume in service.get("volumes") or ():
        source = str(volume.get("source", "") if isinstance(volume, dict) else volume.split(":")[0])
        if not source.startswith("./"):
            continue
        if not (root / source).exists():
            yield f"{name} : {source} n'existe pas."
        elif Path(source).name == "Caddyfile":
            text = (root / source).read_text(encoding="utf-8")
            for address in re.findall(r"^\s*reverse_proxy ([^{\n]+)", text, re.MULTILINE):
                for url in address.split():
                    yield from _compose_address(name, source, url, services)


def _data(service: Mapping[str, Any]) -> str | None:
    """The volume on DATA_DIR."""
    folder = _environment(service).get("DATA_DIR", "/data")
    for volume in service.get("volumes") or ():
        source, target = (
            (volume.get("source"), volume.get("target")) if isinstance(volume, dict) else (volume.split(":") * 2)[:2]
        )
        if target == folder:
            return str(source)
    return None


def _pairs(given: Any) -> dict[str, Any]:
    """`environment`, that may be a list."""
    if isinstance(given, list):
        return dict(item.partition("=")[::2] for item in given)
    return dict(given or {})


def _environment(service: Mapping[str, Any]) -> dict[str, str]:
    given = _pairs(service.get("environment"))
    return {key: _resolved("" if value is None else str(value)) for key, value in given.items()}


def _resolved(value: str) -> str:
    """The value with Compose's defaults in the place of variables, the innermost first."""
    before = None
    while before != value:
        before, value = value, _VARIABLE.sub(lambda match: (match["default"] or "").lstrip(":").lstrip("-?"), value)
    return value


def _env_file(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    return set(re.findall(r"^\s*(?:export )?(\w+)=", path.read_text(encoding="utf-8"), re.MULTILINE))


def _hidden(name: str, kind: str, *counts: object) -> Iterator[str]:
    """Instances that app cannot tell apart, of a service that has models: each must be told what is asked."""
    count = max((count for count in counts if isinstance(count, int)), default=1)
    if kind in {"gpt", "asr", "diarize"} and count > 1:
        yield (
            f"{name} : {count} instances derrière une seule adresse, dont la Supervision n'atteindrait qu'une ; "
            f"faites-en {count} services, tous dans {kind.upper()}_API_URL."
        )


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
    scaling = service.get("scaling") or {}
    yield from _hidden(name, match["service"], service.get("numInstances"), scaling.get("maxInstances"))
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
            elif "property" in source and target.get("type") == "web" and target.get("plan") == "free":
                free = "est un service web gratuit, que le réseau privé n'atteint pas"
                wrong.append(f"{name} : {item['key']} : {source['name']} {free} (envVarKey: RENDER_EXTERNAL_URL).")
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
