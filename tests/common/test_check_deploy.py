"""What `python -m common.check_deploy` says of our files, and of files that were spoilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.check_deploy import PORTS, UnreadableError, main, problems

ROOT = Path(__file__).resolve().parents[2]
COMPOSE, SCALE, RENDER, CADDY = "docker-compose.yml", "docker-compose.scale.yml", "render.yaml", "docker/Caddyfile"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The deployment's files in a folder of their own."""
    for path in [*ROOT.glob("docker-compose*.yml"), ROOT / RENDER, ROOT / CADDY, *ROOT.glob("*/Dockerfile.*")]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def spoilt(house: Path, name: str, old: str, new: str) -> list[str]:
    text = (house / name).read_text(encoding="utf-8")
    assert old in text
    (house / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return problems(house / name, {})


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("docker-compose*.yml")), ROOT / RENDER], ids=lambda path: path.name)
def test_nothing_is_wrong_in_our_files(path: Path) -> None:
    assert problems(path, {}) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (COMPOSE, "http://gpt:5002}", "http://gpt:5009}", "GPT_API_URL mène au port 5009 de gpt, qui écoute sur 5002"),
        (COMPOSE, "http://asr:5003}", "http://whisper:5003}", "ASR_API_URL mène à « whisper »"),
        (COMPOSE, "  DIARIZE_API_URL: ${DIARIZE_API_URL:-http://diarize:5004}\n", "", "DIARIZE_API_URL manque"),
        (COMPOSE, "-5000}:5000\"]", "-5000}:8000\"]", "le port 8000 est publié, mais le service écoute sur 5000"),
        (COMPOSE, "${IA_MODEL:-frigo-mini}", "${IA_MODEL}", "La variable IA_MODEL n'a ni valeur ni défaut"),
        (COMPOSE, "chat: {condition", "discussion: {condition", "attend « discussion »"),
        (COMPOSE, "app/Dockerfile.render-lite", "app/Dockerfile", "app/Dockerfile n'existe pas"),
        (COMPOSE, '["app-data:/data"]', '["app-data:/donnees"]', "rien n'est monté sur DATA_DIR (/data)"),
        (SCALE, ",http://gpt-b:5002}", ",http://gpt-c:5002}", "chat : GPT_API_URL mène à « gpt-c »"),
        (SCALE, "http://chat-b:5001}", "http://chat-b:5000}", "CHAT_API_URL mène au port 5000 de chat-b"),
        (SCALE, "service: gpt}", "service: gpt2}", "« gpt2 », qui est étendu, n'existe pas"),
        (SCALE, "  REDIS_URL: ", "  #REDIS_URL: ", "app, app-b : REDIS_URL doit leur être donnée, la même"),
        (SCALE, "  app-b:\n", "  app-b:\n    volumes: !override [\"b:/data\"]\n", "DATA_DIR doit être le même volume"),
        (SCALE, "./docker/Caddyfile:", "./docker/Caddy:", "proxy : ./docker/Caddy n'existe pas"),
        (SCALE, "postgres: {condition", "postgre: {condition", "attend « postgre »"),
        (SCALE, "${POSTGRES_PASSWORD:?}@", "${POSTGRES_PASSWORD}@", "La variable POSTGRES_PASSWORD n'a ni valeur"),
        (SCALE, "  gpt-b:\n", "  gpt-b:\n    deploy: {replicas: 3}\n", "gpt-b : 3 instances derrière une seule"),
        (COMPOSE, "  asr:\n", "  asr:\n    scale: 2\n", "faites-en 2 services, tous dans ASR_API_URL"),
        (RENDER, "name: frigo-gpt\n", "name: frigo-gpt\n    numInstances: 2\n", "frigo-gpt : 2 instances derrière"),
        (RENDER, "name: frigo-gpt, envVarKey: RENDER_EXTERNAL_URL", "name: frigo-gpt, property: hostport", "gratuit"),
        (RENDER, "name: frigo-asr\n    runtime", "name: frigo-parole\n    runtime", "vient de « frigo-asr »"),
        (RENDER, "      - key: SERVICE_TOKEN\n        generateValue: true\n", "", "ouverts à tous"),
        (RENDER, '      - key: PORT\n        value: "5002"\n', "", "frigo-gpt : la variable PORT manque"),
        (RENDER, "healthCheckPath: /health", "healthCheckPath: /", "healthCheckPath: /health manque"),
        (RENDER, "fromGroup: frigo\n", "fromGroup: frigot\n", "le groupe « frigot » n'existe pas"),
        (RENDER, "./gpt/Dockerfile.render-lite", "./gpt/Dockerfile.rendre", "Dockerfile.rendre n'existe pas"),
        (RENDER, "{type: web, name: frigo-chat", "{type: pserv, name: frigo-chat", "est de type web, pas pserv"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(house: Path, name: str, old: str, new: str, said: str) -> None:
    try:
        found = spoilt(house, name, old, new)
    except UnreadableError as error:
        found = [str(error)]
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("app-b:5000", "app-c:5000", "mène à « app-c »"),
        ("chat-b:5001", "chat-b:5002", "mène au port 5002 de chat-b, qui écoute sur 5001"),
    ],
)
def test_the_proxy_leads_to_services(house: Path, old: str, new: str, said: str) -> None:
    caddy = house / CADDY
    caddy.write_text(caddy.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert any(said in line for line in problems(house / SCALE, {}))


def test_a_file_over_another_is_read_with_it(house: Path) -> None:
    over = house / "docker-compose.mine.yml"
    over.write_text("services:\n  chat: {environment: [GPT_API_URL=http://gpt:9]}\n", encoding="utf-8")
    assert problems(over, {}) == ["chat : GPT_API_URL mène au port 9 de gpt, qui écoute sur 5002."]


def test_a_variable_of_dot_env_counts(house: Path) -> None:
    (house / ".env").write_text("IA_MODEL=gpt2\n", encoding="utf-8")
    assert spoilt(house, COMPOSE, "${IA_MODEL:-frigo-mini}", "${IA_MODEL}") == []


def test_the_command_tells_by_its_status(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(house)
    assert main([]) == 0
    assert "render.yaml : rien à redire." in capsys.readouterr().out
    spoilt(house, RENDER, "healthCheckPath: /health", "healthCheckPath: /")
    assert main([RENDER]) == 1
    (house / RENDER).write_text("services: {", encoding="utf-8")
    assert main([RENDER]) == 2
    assert main(["absent.yml"]) == 2
    with pytest.raises(UnreadableError):
        problems(house / "absent.yml")


def test_the_ports_are_those_of_the_services() -> None:
    from scripts.environment import PORTS as REAL

    assert PORTS == REAL
