"""Push a model to the hub: the files that its manifest names, the manifest and a card, in one
commit.

In: a model folder, a .zip file of one or a run folder, and USER/NAME. Out: its page on the hub.
Nothing else leaves the machine: no checkpoint, no row and no path of a run folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textkit.classify.model_config import CONFIG, GRAPH, WEIGHTS, check, read_recipe
from textkit.errors import StorageError, TextkitError, UsageError
from textkit.io import files, hub, zipped
from textkit.jobs.card import make_card
from textkit.jobs.card_facts import CardOptions, list_places
from textkit.jobs.card_metadata import LICENCES, check_licence
from textkit.jobs.runs import find_model
from textkit.tokenizers.protocol import TOKENIZER_FILES
from textkit.watch import Watch

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"
# Of an earlier model in the same place, which this one may not have.
_OF_A_MODEL = (CONFIG, WEIGHTS, GRAPH, *TOKENIZER_FILES)


@dataclass(frozen=True, kw_only=True)
class PushOptions(CardOptions):
    """What is pushed, and where; the first half is what its card says.

    - name: USER/NAME. revision: a branch, which is made where it is not there; else main.
    - private: a new place is for its owner alone; a public one is then refused.
    - message: of the commit. token: of the account; else HF_TOKEN, or that of `hf auth login`.
    - card: a file that is pushed as README.md in the place of the one that is made.
    - dry_run: make the card and push nothing. out: a file that the card is written to as well;
      overwrite: also over one that is there.
    """

    revision: str | None = None
    private: bool = False
    message: str | None = None
    token: str | None = field(default=None, repr=False)
    card: str | Path | None = None
    dry_run: bool = False
    out: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class PushReport:
    """What was pushed: its page, the commit, the card and the files with their bytes.

    url, commit: None where nothing was pushed.
    """

    url: str | None
    commit: str | None
    card: str
    files: Mapping[str, int]

    @property
    def n_bytes(self) -> int:
        """Of all files."""
        return sum(self.files.values())

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return {"url": self.url, "commit": self.commit, "files": dict(self.files)}


def push_model(options: PushOptions, *, watch: Watch = Watch()) -> PushReport:
    """Check a model, make its card and push both in one commit.

    `watch` hears what goes with the model that one might not want to tell. Raises UsageError
    without a licence or for a place that holds something else, ArtifactError for a model that is
    damaged, and StorageError where the hub does not take it.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("reviews")
    >>> options = PushOptions(model="reviews", name="ann/reviews", licence="mit", dry_run=True)
    >>> sorted(push_model(options).files)
    ['README.md', 'config.json', 'manifest.json', 'model.safetensors']
    """
    name = check_name(options.name)
    place = find_model(options.model)
    if options.out is not None and options.out.exists() and not options.overwrite:
        raise UsageError(f"{options.out} exists; choose another -o, or --overwrite it")
    card = make_card(options) if options.card is None else _read_card(Path(options.card), options)
    if options.card is None and check_licence(options.licence) not in LICENCES:
        watch.note(
            f"textkit does not know the licence '{options.licence}'; if the hub does not"
            " either, push it as other"
        )
    with zipped.unzipped(place) as folder:
        config = check(folder)
        for told in list_places(read_recipe(config, folder)):
            watch.note(f"{CONFIG} says {told}, which is pushed with it")
        names = [*files.read_json(folder / files.MANIFEST)["files"], files.MANIFEST]
        sizes = {each: (folder / each).stat().st_size for each in names}
        sizes = {CARD: len(card.encode("utf-8"))} | sizes
        if options.out is not None:
            files.write_text(options.out, card)
        if options.dry_run:
            return PushReport(None, None, card, sizes)
        hub.require_client(needed_by="a push")
        # A ValueError says that the hub does not take the head of the card.
        refusals: tuple[type[Exception], ...] = (*hub.failures(), ValueError)
        try:
            url, commit = _push(name, folder, names, card, options)
        except TextkitError:
            raise
        except refusals as err:
            reason = _explain(err, options)
            raise StorageError(f"cannot be pushed: {reason}", where=f"{hub.PREFIX}{name}") from err
    return PushReport(url, commit, card, sizes)


def check_name(name: str) -> str:
    """Give the bare name of a place on the hub; UsageError for one that is no USER/NAME.

    >>> check_name("hf:ann/reviews")
    'ann/reviews'
    """
    bare, revision = hub.split_name(name)
    if revision is not None:
        raise UsageError(f"'{name}' names a revision; push to a branch with --revision {revision}")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", bare, flags=re.ASCII):
        raise UsageError(f"'{name}' is no name on the hub; write USER/NAME, as ann/reviews")
    return bare


def _read_card(path: Path, options: PushOptions) -> str:
    """Read a card that was written by hand, which must say the licence itself."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise StorageError(f"cannot be read: {err}", where=str(path)) from err
    head = re.match(r"---\r?\n(.*?)^---", text, flags=re.DOTALL | re.MULTILINE)
    said = re.search(r"^license:\s*(\S+)", head[1] if head else "", flags=re.MULTILINE)
    if said is None:
        raise UsageError(
            "the card says no licence; write one at its head, as the line license: mit between two"
            " lines of ---",
            where=str(path),
        )
    licence = said[1].strip("'\"")
    if options.licence is not None and check_licence(options.licence) != licence:
        raise UsageError(
            f"the card says licence {licence}, --licence says {options.licence}", where=str(path)
        )
    return text


def _push(
    name: str, folder: Path, names: Sequence[str], card: str, options: PushOptions
) -> tuple[str, str]:
    """Make the place where it is not there, look at what it holds, and commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(token=options.token)
    url = api.create_repo(name, private=options.private or None, exist_ok=True)
    if options.revision is not None:
        api.create_branch(name, branch=options.revision, exist_ok=True)
    there = _look(api, name, options)
    operations: list[Any] = [
        CommitOperationDelete(path_in_repo=old)
        for old in there
        if old in _OF_A_MODEL and old not in names
    ]
    operations.append(CommitOperationAdd(path_in_repo=CARD, path_or_fileobj=card.encode("utf-8")))
    operations += [
        CommitOperationAdd(path_in_repo=each, path_or_fileobj=folder / each) for each in names
    ]
    done = api.create_commit(
        name,
        operations,
        commit_message=options.message or f"Push {name} by textkit",
        revision=options.revision,
    )
    return str(url), str(done.oid)


def _look(api: HfApi, name: str, options: PushOptions) -> list[str]:
    """Give the files of a place; refuse one that is public where it should not be, or that holds
    something which is no model of textkit's.
    """
    found = api.model_info(name, revision=options.revision)
    if options.private and not found.private:
        raise UsageError(
            f"{name} is public, and --private was asked for; choose another name, or make it"
            " private on its page"
        )
    there = [each.rfilename for each in found.siblings or ()]
    others = sorted({*there} & {*_OF_A_MODEL})
    if others and files.MANIFEST not in there:
        raise UsageError(
            f"{name} holds {others[0]} of something that textkit did not write; choose another"
            " name, or another branch with --revision"
        )
    return there


def _explain(err: Exception, options: PushOptions) -> str:
    """Say in one line why the hub did not take it."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    reason = hub.explain(err, {"revision": options.revision})
    if isinstance(err, HfHubHTTPError):
        status = err.response.status_code
        if status == 401:
            return "the hub does not know who you are; give a token that may write in HF_TOKEN"
        if status == 403:
            return "the token may not write there; give one that may, or choose a name of your own"
        return reason
    if isinstance(err, ValueError | OfflineModeIsEnabled):
        return reason
    return f"the hub cannot be reached: {reason}"
