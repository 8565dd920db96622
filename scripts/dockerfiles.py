"""Write the Dockerfiles of the five services: `python -m scripts.dockerfiles`.

Each stands alone, as Render and `docker build -f` want it, and all are built from the repository's root. What they
share is written once, here; tests/scripts/test_dockerfiles.py keeps the files and this in step.
Where packages come from is never written: pip, apt and npm read their own build arguments and configuration.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from scripts.environment import PORTS, ROOT
from scripts.pip import TORCH

TITLES = {
    "app": "la page, la passerelle et les réunions",
    "chat": "l'API OpenAI, les diagrammes et les comptes rendus",
    "gpt": "les modèles de langue",
    "asr": "la transcription",
    "diarize": "qui parle quand",
}
LITE, PRODUCTION, GPU = "render-lite", "production", "gpu"
_SMALL = {"app": {"WEB_CONCURRENCY": "1"}, "chat": {"WEB_CONCURRENCY": "1"}}
_EMBEDDED = {
    "gpt": {"IA_MODEL": "frigo-mini"},
    "asr": {"ASR_MODEL": "pocketsphinx"},
    "diarize": {"DIARIZE_MODEL": "resemblyzer"},
}
# What the embedded models need done once, when the image is made: nothing is written beside the code later.
_PREPARED = {
    "gpt": "RUN HF_HUB_OFFLINE=1 python -m gpt.download_models --model frigo-mini --convert\n",
    "diarize": (
        "RUN python -m diarize.engines.embedded.convert diarize/engines/embedded/resemblyzer.onnx"
        " && rm -rf /opt/venv/lib/python3*/site-packages/resemblyzer\n"
    ),
}
# The engines beside the light ones: the lock that holds their libraries.
_PRODUCTION_LOCK = {"gpt": "gpt-torch", "asr": "asr-transformers", "diarize": "diarize-pyannote"}
_GPU_LOCK = {"gpt": "gpt-torch", "asr": "asr-nemo", "diarize": "diarize-pyannote"}
# Resolved for CUDA alone, with the hashes of all their libraries: `scripts.lock` writes them.
CUDA_LOCK, VLLM_LOCK = "torch-cuda", "gpt-vllm"
CUDA = {CUDA_LOCK: TORCH, VLLM_LOCK: "vllm==0.33.0"}
_PIP = "/usr/local/bin/python -m pip --python"


def _hashed(environment: str, lock: str) -> str:
    """Install what a lock holds, and nothing else."""
    return f"{_PIP} {environment} install --no-deps --require-hashes -r /tmp/{lock}.txt"


@dataclass(frozen=True)
class Image:
    """One Dockerfile."""

    service: str
    kind: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return ROOT / self.service / f"Dockerfile.{self.kind}"

    @property
    def torch(self) -> bool:
        return self.kind != LITE and self.service in _PRODUCTION_LOCK

    @property
    def _baked(self) -> bool:
        """Whether it may hold models; a GPU's are too big, and kept in a volume."""
        return self.kind == PRODUCTION and self.service in _PRODUCTION_LOCK

    @property
    def lock(self) -> str:
        if self.kind == LITE:
            return self.service
        return (_GPU_LOCK if self.kind == GPU else _PRODUCTION_LOCK).get(self.service, self.service)

    @property
    def _beside_torch(self) -> list[str]:
        """The pins that torch's own index has a build of."""
        pins = (ROOT / "docker" / "locks" / f"{self.lock}.txt").read_text(encoding="utf-8")
        return re.findall(r"^torchaudio==[^\s\\]+", pins, re.MULTILINE)

    def text(self) -> str:
        """The whole file."""
        parts = [self._header(), self._node(), self._system(), self._build(), self._final()]
        return "\n".join(part for part in parts if part)

    def _header(self) -> str:
        how = f"docker build -f {self.service}/Dockerfile.{self.kind} -t frigo-{self.service} ."
        lines = [
            f"# Frigo, service {self.service} : {TITLES[self.service]}. Depuis la racine du dépôt :",
            f"#   {how}",
            "# Écrit par « python -m scripts.dockerfiles » : modifiez-le là. Voir docs/docker.md.",
        ]
        if self.kind == GPU:
            lines += [
                "# Demande un GPU NVIDIA et son « container toolkit ». Jamais essayée sur un GPU, ni sur la vraie base",
                "# de NVIDIA : docs/docker.md dit ce qui a été construit, et sur quoi.",
                "ARG CUDA_IMAGE=nvidia/cuda:13.0.2-base-ubuntu24.04",
            ]
        # A GPU image runs this Python on Ubuntu's C library: it must have been built on an older one.
        lines.append(f"ARG PYTHON_IMAGE=python:3.11-slim{'-bookworm' * (self.kind == GPU)}")
        if self.service in {"app", "chat"}:
            lines.append("ARG NODE_IMAGE=node:20-slim")
        return "\n".join(lines) + "\n"

    def _node(self) -> str:
        if self.service == "app":
            return (
                "FROM ${NODE_IMAGE} AS page\n"
                "WORKDIR /page\n"
                "COPY app/web/package.json app/web/package-lock.json app/web/.npmrc* ./\n"
                "RUN npm ci --no-audit --no-fund\n"
                "COPY app/web ./\n"
                "RUN npm run build\n"
            )
        if self.service == "chat":
            return (
                "FROM ${NODE_IMAGE} AS node\n"
                "WORKDIR /validator\n"
                "COPY chat/diagrams/validator/package.json chat/diagrams/validator/package-lock.json ./\n"
                "COPY docker/slim-node.sh /tmp/\n"
                "RUN npm ci --omit=dev --no-audit --no-fund && sh /tmp/slim-node.sh node_modules\n"
            )
        return ""

    def _system(self) -> str:
        base = "CUDA_IMAGE" if self.kind == GPU else "PYTHON_IMAGE"
        python = ""
        if self.kind == GPU:
            compiler = ""
            if self.service == "gpt":
                python = "# Triton, dont vLLM se sert, compile de petits programmes C pendant le service : gcc reste.\n"
                compiler = " gcc libc6-dev"
            python += (
                f"RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates{compiler}"
                " libbz2-1.0 libffi8 liblzma5 \\\n    libncursesw6 libreadline8 libsqlite3-0 libssl3 libuuid1 zlib1g\n"
                "COPY --from=python /usr/local /usr/local\nRUN ldconfig\n"
            )
        before = "FROM ${PYTHON_IMAGE} AS python\n\n" if self.kind == GPU else ""
        return f"{before}FROM ${{{base}}} AS system\n{python}COPY docker/system.sh /tmp/\nRUN sh /tmp/system.sh\n"

    def _build(self) -> str:
        code = f"COPY common common\nCOPY {self.service} {self.service}\n"
        lines = [
            "FROM ${PYTHON_IMAGE} AS build",
            "# Les miroirs de paquets, s'il en faut : --build-arg PIP_INDEX_URL=…",
            "ARG PIP_INDEX_URL",
            "ARG PIP_EXTRA_INDEX_URL",
            "ARG PIP_TRUSTED_HOST",
            "ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/venv/bin:$PATH",
            "RUN apt-get update && apt-get install -y --no-install-recommends binutils",
            "RUN python -m venv --without-pip /opt/venv",
        ]
        if self.torch and self.kind == PRODUCTION:
            lines += [
                "# torch pour processeur : l'index de PyTorch, ou un autre.",
                "ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu",
            ]
        if self.torch and self.kind == PRODUCTION:
            # PyPI's torchaudio is built for CUDA, and does not load beside a torch for processors.
            torch = " ".join([TORCH, *self._beside_torch])
            lines.append(f'RUN {_PIP} /opt/venv install --index-url "$TORCH_INDEX_URL" {torch}')
        elif self.torch:
            lines += [f"COPY docker/locks/{CUDA_LOCK}.txt /tmp/", f"RUN {_hashed('/opt/venv', CUDA_LOCK)}"]
        lines += [
            f"COPY docker/locks/{self.lock}.txt /tmp/",
            "COPY docker/slim.sh /tmp/",
            f"RUN {_hashed('/opt/venv', self.lock)} \\\n    && sh /tmp/slim.sh /opt/venv",
        ]
        if self.kind == GPU and self.service == "gpt":
            lines += [
                "# vLLM a son environnement : il épingle ce avec quoi les autres moteurs ne vont pas.",
                f"COPY docker/locks/{VLLM_LOCK}.txt /tmp/",
                "RUN python -m venv --without-pip /opt/vllm \\\n"
                f"    && {_hashed('/opt/vllm', VLLM_LOCK)} \\\n    && sh /tmp/slim.sh /opt/vllm",
            ]
        text = "\n".join(lines) + "\n"
        text += "WORKDIR /srv/frigo\n" + code + _PREPARED.get(self.service, "")
        text += "RUN python -m compileall -q /srv/frigo\n"
        if self._baked:
            text += self._models()
        return text

    def _models(self) -> str:
        convert = " --convert" if self.service == "gpt" else ""
        lines = [
            '# Les modèles que l\'image emporte : --build-arg MODELS="gpt2 gpt2-medium". Un jeton du hub est un secret',
            "# de construction, écrit nulle part : --secret id=huggingface_token,env=HUGGINGFACE_TOKEN.",
            'ARG MODELS=""',
            "ARG HF_ENDPOINT=https://huggingface.co",
            "RUN --mount=type=secret,id=huggingface_token \\",
            "    mkdir -p /opt/models; export MODEL_CACHE_DIR=/opt/models; \\",
            "    if [ -s /run/secrets/huggingface_token ]; then \\",
            "        export HUGGINGFACE_TOKEN_FILE=/run/secrets/huggingface_token; fi; \\",
            '    set --; for model in $MODELS; do set -- "$@" --model "$model"; done; \\',
            f'    [ $# -eq 0 ] || python -m {self.service}.download_models "$@"{convert}',
        ]
        return "\n".join(lines) + "\n"

    def _final(self) -> str:
        env = {
            "PATH": "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_WAIT_POLICY": "passive",
            "PORT": str(PORTS[self.service]),
            "HOST_BIND_ADDRESS": "0.0.0.0",  # noqa: S104  inside the container
            "DATA_DIR": "/data",
            "TMPDIR": "/data/tmp",
            "HF_HOME": "/models",
        }
        if self.kind == LITE:
            env |= _SMALL.get(self.service, {}) | _EMBEDDED.get(self.service, {})
        elif self._baked:
            env |= {"MODEL_CACHE_DIR": "/opt/models", "HF_HUB_OFFLINE": "1"}
        if self.kind == GPU:
            env |= {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
            if self.service == "gpt":
                env["VLLM_PYTHON"] = "/opt/vllm/bin/python"
        lines = [
            "# Une seule couche pour le système : ce qui a servi à construire n'y est pas, pas même effacé.",
            "FROM scratch",
            "COPY --from=system / /",
        ]
        if self.service == "chat":
            lines.append("COPY --from=node /usr/local/bin/node /usr/local/bin/node")
        lines.append("COPY --from=build /opt/venv /opt/venv")
        if self.kind == GPU and self.service == "gpt":
            lines.append("COPY --from=build /opt/vllm /opt/vllm")
        if self._baked:
            lines.append("COPY --from=build /opt/models /opt/models")
        lines.append("COPY --from=build /srv/frigo /srv/frigo")
        if self.service == "app":
            lines.append("COPY --from=page /page/dist /srv/frigo/app/web/dist")
        if self.service == "chat":
            lines.append("COPY --from=node /validator/node_modules /srv/frigo/chat/diagrams/validator/node_modules")
        title = TITLES[self.service]
        lines += [
            'ARG VERSION=""',
            'ARG REVISION=""',
            f'LABEL org.opencontainers.image.title="Frigo — {self.service}" \\',
            f'      org.opencontainers.image.description="{title[0].upper()}{title[1:]}" \\',
            '      org.opencontainers.image.licenses="MIT" \\',
            '      org.opencontainers.image.version="${VERSION}" \\',
            '      org.opencontainers.image.revision="${REVISION}"',
            "ENV " + " \\\n    ".join(f"{name}={value}" for name, value in env.items()),
            "WORKDIR /srv/frigo",
            "USER 1000:1000",
            f"EXPOSE {PORTS[self.service]}",
            "STOPSIGNAL SIGTERM",
            "HEALTHCHECK --interval=5s --timeout=15s --start-period=120s --retries=5"
            ' CMD ["python", "-S", "-m", "common.healthcheck"]',
            f'CMD ["sh", "-c", "mkdir -p \\"$TMPDIR\\"; exec {self._command()}"]',
        ]
        return "\n".join(lines) + "\n"

    def _command(self) -> str:
        if self.service == "app":
            return "python -m app"
        return f"gunicorn -c python:common.web.gunicorn_conf {self.service}.wsgi:app"


def images() -> list[Image]:
    """Every Dockerfile of the house."""
    light = [Image(service, kind) for service in PORTS for kind in (LITE, PRODUCTION)]
    return light + [Image(service, GPU) for service in _GPU_LOCK]


def main() -> int:
    for image in images():
        image.path.write_text(image.text(), encoding="utf-8")
        print(image.path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
