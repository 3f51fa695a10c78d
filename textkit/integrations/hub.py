"""Models on the Hugging Face hub: push one with its card, and load one by its name.

    from textkit.integrations import hub

    hub.push("run", "ann/reviews", licence="mit", language="en")
    model = hub.load("hf:ann/reviews")

`TextClassifier.load`, `textkit.load` and every verb of the shell take `hf:ann/reviews` too. The
hub is asked by its own client, huggingface_hub; with HF_HUB_OFFLINE=1 its cache answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textkit.classify import opening
from textkit.classify.classifier import TextClassifier
from textkit.embedders.embedder import TextEmbedder
from textkit.io import hub
from textkit.jobs.card import make_card
from textkit.jobs.card_facts import CardOptions
from textkit.jobs.push import PushOptions, push_model
from textkit.watch import Watch

__all__ = ["load", "model_card", "push"]


def push(
    model: str | Path,
    name: str,
    *,
    licence: str,
    language: str | Sequence[str] | None = None,
    data: str | Sequence[str] | None = None,
    evaluation: str | Path | Mapping[str, Any] | None = None,
    run: str | Path | None = None,
    card: str | Path | None = None,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    token: str | None = None,
    watch: Watch = Watch(),
) -> str:
    """Push a model folder, a .zip file of one, or the model of a run folder; give its page.

    name: USER/NAME. The other options are those of textkit.jobs.push.PushOptions: what the card
    says, as in `model_card`; card, a file in its place; private, revision, message and token.
    """
    options = PushOptions(
        model=model,
        name=name,
        licence=licence,
        language=language,
        data=data,
        evaluation=evaluation,
        run=run,
        card=card,
        private=private,
        revision=revision,
        message=message,
        token=token,
    )
    return str(push_model(options, watch=watch).url)


def load(
    name: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    allow: Sequence[str] = (),
) -> TextClassifier | TextEmbedder:
    """Open a model of textkit's on the hub, checked against its manifest.

    name: `hf:USER/NAME`, with `@REVISION` behind it or `revision`; local_files_only: from the cache
    alone. allow: each `package.module:Name` of the model that may be imported. Raises
    ArtifactError where the hub does not give it, and for what textkit did not write.
    """
    asked = {"revision": revision, "token": token, "local_files_only": local_files_only or None}
    given = {key: value for key, value in asked.items() if value is not None}
    return opening.load(hub.fetch_sealed(name, **given), allow=allow)


def model_card(
    model: str | Path,
    *,
    licence: str,
    name: str = "USER/NAME",
    language: str | Sequence[str] | None = None,
    data: str | Sequence[str] | None = None,
    evaluation: str | Path | Mapping[str, Any] | None = None,
    run: str | Path | None = None,
) -> str:
    """Make the card of a model: the text of README.md, which `push` pushes with it.

    - licence: as the hub spells it, mit say. language: of its texts, as en. data: names of data
      sets on the hub.
    - evaluation: the file that `textkit evaluate --json` wrote, or a report's `to_dict()`.
    - run: the run folder that it came from, where it does not lie in it.
    """
    options = CardOptions(
        model=model,
        licence=licence,
        name=name,
        language=language,
        data=data,
        evaluation=evaluation,
        run=run,
    )
    return make_card(options)
