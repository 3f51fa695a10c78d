"""Write what a container image of a server is built from: Dockerfile, .dockerignore, the models, a
compose file and an example for Kubernetes.

In: models on disk. Out: a folder that `docker build` takes as it is: python slim, no torch where no
model needs it, another user than root, a file system that is only read, offline.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from textkit.errors import UsageError
from textkit.io import files
from textkit.search.building import CONFIG
from textkit.search.index import SearchIndex
from textkit.serve.models import ServedModel, open_model
from textkit.serve.options import KEY_VARIABLE, name_models
from textkit.version import __version__

KIND, FORMAT = "image", 1
_TORCH = """pip install --no-cache-dir torch=={version} \\
    --index-url https://download.pytorch.org/whl/cpu \\
    && """

_DOCKERFILE = """\
FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 HOME=/tmp
# A wheel of textkit in wheels/ goes before the package index.
COPY wheels/ /wheels/
RUN {torch}pip install --no-cache-dir --find-links /wheels 'textkit-nlp[{extras}]=={version}'
COPY models/ /models/
RUN useradd --system --uid 10001 textkit
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", \
"import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
ENTRYPOINT ["textkit", "serve", {models}, "--host", "0.0.0.0", "--port", "8080"]
"""

_COMPOSE = """\
services:
  textkit:
    build: .
    image: {image}
    ports: ["8080:8080"]
    environment: [{key}]
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    stop_grace_period: 60s
"""

_KUBERNETES = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: textkit}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: textkit}}}}
  template:
    metadata: {{labels: {{app: textkit}}}}
    spec:
      terminationGracePeriodSeconds: 60
      containers:
        - name: textkit
          image: {image}
          ports: [{{containerPort: 8080}}]
          startupProbe: {{httpGet: {{path: /ready, port: 8080}}, failureThreshold: 60}}
          readinessProbe: {{httpGet: {{path: /ready, port: 8080}}, periodSeconds: 2}}
          livenessProbe: {{httpGet: {{path: /health, port: 8080}}, timeoutSeconds: 3}}
          resources: {{requests: {{cpu: "1", memory: 1Gi}}, limits: {{memory: 2Gi}}}}
          securityContext:
            runAsNonRoot: true
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {{drop: [ALL]}}
          volumeMounts: [{{name: tmp, mountPath: /tmp}}]
      volumes: [{{name: tmp, emptyDir: {{}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: textkit}}
spec:
  selector: {{app: textkit}}
  ports: [{{port: 80, targetPort: 8080}}]
"""


def write_image(models: Sequence[str], out: str | Path, *, allow: Sequence[str] = ()) -> Path:
    """Write the folder; each model is opened first, so that what is built can be served.

    models: as `ServeOptions` takes them, but files and folders alone; the model whose vectors an
    index holds comes with it. Raises UsageError for one that is neither, StorageError for a folder
    that holds other work.
    """
    named = name_models(models)
    for name, place in named.items():
        if not Path(place).exists():
            raise UsageError(f"'{place}' is no file or folder; an image holds its models as files")
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise UsageError(f"'{name}' cannot be a name in an image; write NAME={place}")
    opened = [open_model(name, place, allow=allow) for name, place in named.items()]
    needed = {model.name: _needs(model.index) for model in opened if model.index is not None}
    parts = [part for held in needed.values() for part in held]
    extras = extras_of([*opened, *(open_model(*part, allow=allow) for part in parts)])
    with files.atomic_folder(out) as folder:
        (folder / "wheels").mkdir()
        (folder / "models").mkdir()
        files.write_text(folder / "wheels" / "README", "Wheels that no package index has.\n")
        told = []
        for name, place in named.items():
            kept = _copy(Path(place), folder / "models", name)
            told.append(f'"{name}={kept}"')
            if needed.get(name):
                _point(folder / "models" / name, dict(needed[name]))
        values = {"extras": ",".join(extras), "version": __version__}
        dockerfile = _DOCKERFILE.format(
            torch=_torch() if "train" in extras else "", models=", ".join(told), **values
        )
        image = f"textkit-{next(iter(named)).lower()}:latest"
        files.write_text(folder / "Dockerfile", dockerfile)
        files.write_text(folder / ".dockerignore", "*\n!models\n!wheels\n")
        files.write_text(folder / "compose.yaml", _COMPOSE.format(image=image, key=KEY_VARIABLE))
        files.write_text(folder / "kubernetes.yaml", _KUBERNETES.format(image=image))
        files.write_manifest(folder, kind=KIND, format=FORMAT)
    return Path(out)


def _torch() -> str:
    """Give the command that installs torch without a GPU, of the version that opened the models."""
    return _TORCH.format(version=version("torch").partition("+")[0])


def _copy(source: Path, models: Path, name: str) -> str:
    """Copy a model's file or folder; give where the image has it."""
    kept = name if source.is_dir() else f"{name}{''.join(source.suffixes[-1:])}"
    copy = shutil.copytree if source.is_dir() else shutil.copy2
    copy(source, models / kept)
    return f"/models/{kept}"


def _needs(index: SearchIndex) -> list[tuple[str, str]]:
    """Tell what the vectors of an index's queries are made by: what its config calls it, and the
    place.
    """
    if index.method == "bm25":
        return []
    _ = index.embedder  # raises where it cannot be opened
    model = index.config["vectors"]["model"]
    return [(key, str(model[key])) for key in ("spec", "tokenizer") if model.get(key)]


def _point(index: Path, needed: Mapping[str, str]) -> None:
    """Put what an index needs beside its copy, say so in its config, and seal it anew."""
    config, manifest = files.read_json(index / CONFIG), files.read_json(index / files.MANIFEST)
    for key, place in needed.items():
        if Path(place).exists():
            config["vectors"]["model"][key] = _copy(
                Path(place), index.parent, f"{index.name}.{key}"
            )
    files.write_json(index / CONFIG, config)
    hashes = {name: entry["sha256"] for name, entry in manifest["files"].items() if name != CONFIG}
    facts = {k: v for k, v in manifest.items() if k not in ("kind", "format", "files")}
    kind, number = manifest["kind"], manifest["format"]
    files.write_manifest(index, kind=kind, format=number, facts=facts, hashes=hashes)


def extras_of(models: Sequence[ServedModel]) -> list[str]:
    """Name the extras that models need."""
    extras = ["serve"]
    engines = {model.facts.get("engine") for model in models}
    is_transformer = any(
        model.kind == "embedder" and "pooling" not in model.facts for model in models
    )
    if "onnxruntime" in engines:
        extras.append("onnx")
    if any(model.facts.get("graph") for model in models):
        extras.append("index")
    if any(model.place == "glove" for model in models):
        extras.append("glove")
    if "torch" in engines or is_transformer:
        extras.append("train")
    if is_transformer or any(model.facts.get("encoder") == "pretrained" for model in models):
        extras.append("transformers")
    return extras
