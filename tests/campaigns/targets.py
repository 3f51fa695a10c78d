"""Every reader of outside data, each with a small valid file or folder of its own.

A target makes its file or folder in an empty folder, and reads it from there as a person would: it
opens it, and uses what was opened. What it gives back is plain values, which can be looked at.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden import observations as seen
from tests.io import sheets
from tests.vectors import samples

TEXTS = ["good film", "A poor walk, 3.14 naïve 漢字 🙂", "", "lone \ud800 [PAD] <s>"]
COUNTED: dict[str, object] = {"kind": "word", "options": {}}
CSV = 'text,label\ngood film,pos\n"bad, ""plot""",neg\nfine song,pos\npoor walk,neg\n'


@dataclass(frozen=True)
class Target:
    """A reader.

    make: writes a valid file or folder into an empty folder and gives its path. read: reads it and
    gives plain values. warm: modules that it needs, imported once for all trials. sealed: every
    change of a byte must be refused; foreign: but a folder without a manifest is one of another
    program's.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    warm: tuple[str, ...] = ()
    sealed: bool = False
    foreign: bool = False


def golden(name: str) -> Callable[[Path], Path]:
    """Make a copy of a golden folder."""

    def make(folder: Path) -> Path:
        return Path(shutil.copytree(seen.GOLDEN / name, folder / name))

    return make


def written(name: str, data: str | bytes) -> Callable[[Path], Path]:
    """Make a file of these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return folder / name

    return make


def use_tokenizer(path: Path) -> Any:
    from textkit import tokenizers

    tokenizer = tokenizers.load(path)
    batch = tokenizer.encode(TEXTS, spans=True)
    plain = [row.tolist() for row in tokenizer.encode(TEXTS)]
    return [plain, batch.ids.tolist(), [tokenizer.decode(row) for row in plain], len(tokenizer)]


def trained(kind: str, *, name: str = "tok", **options: Any) -> Callable[[Path], Path]:
    """Make a tokenizer folder."""

    def make(folder: Path) -> Path:
        from textkit import tokenizers

        tokenizers.train(kind, TEXTS[:3] * 3, **options).save(folder / name)
        return folder / name

    return make


def make_transformers_tokenizer(folder: Path) -> Path:
    place = trained("wordpiece", size=60, name="made")(folder)
    (place / "manifest.json").unlink()
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "unk_token": "[UNK]"}
    (place / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    tokens = {"unk_token": "[UNK]", "additional_special_tokens": ["<a>"]}
    (place / "special_tokens_map.json").write_text(json.dumps(tokens), encoding="utf-8")
    (place / "added_tokens.json").write_text('{"<b>": 60}', encoding="utf-8")
    return place


def make_gpt2(folder: Path) -> Path:
    place = folder / "gpt2"
    place.mkdir()
    vocab = {c: i for i, c in enumerate(["a", "b", "c", "ab", "Ġ", "<|endoftext|>"])}
    (place / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (place / "merges.txt").write_text("#version: 0.2\na b\n", encoding="utf-8")
    return place


def make_packed_tokenizer(folder: Path) -> Path:
    place = trained("word", name="made")(folder)
    data = gzip.compress((place / "tokenizer.json").read_bytes(), mtime=0)
    shutil.rmtree(place)
    return written("tokenizer.json.gz", data)(folder)


def make_tiktoken(folder: Path) -> Path:
    import base64

    tokens = [bytes([i]) for i in range(256)] + [b"ab", b"good", b" good"]
    lines = (base64.b64encode(token) + b" %d\n" % i for i, token in enumerate(tokens))
    return written("x.tiktoken", b"".join(lines))(folder)


def sentencepiece(kind: str) -> Callable[[Path], Path]:
    """Make a sentencepiece model of a kind, with its table of characters."""

    def make(folder: Path) -> Path:
        from sentencepiece import SentencePieceTrainer

        model = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter([*TEXTS[:2], "good walk film plot"] * 4),
            model_writer=model,
            model_type=kind,
            vocab_size=40,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        return written("spm.model", model.getvalue())(folder)

    return make


def use_vectors(path: Path) -> Any:
    from textkit import Vectors

    vectors = Vectors.open(path)
    words = list(vectors.words)[:4]
    rows = vectors.lookup([*words, "unknown"], "zero" if vectors.ngrams is None else "ngram")
    return [words, rows.tolist(), vectors.nearest(words[:1], k=2) if words else []]


def verify_vectors(path: Path) -> Any:
    from textkit import Vectors

    return [len(Vectors.load(path, verify=True)), use_vectors(path)]


def make_index(folder: Path) -> Path:
    from textkit import Vectors
    from textkit.vectors.index import build_index

    build_index(Vectors.open(samples.write_own(folder)), folder / "index")
    shutil.rmtree(folder / "own")
    return folder / "index"


def use_index(path: Path) -> Any:
    from textkit.vectors.index import open_index

    return open_index(path).of_sample


def use_model(path: Path) -> Any:
    from textkit import TextClassifier

    return TextClassifier.load(path).predict_logits(TEXTS[:3]).tolist()


def use_info(path: Path) -> Any:
    """Say what is in a model, as the shell does."""
    from textkit.cli import info

    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        info.info(path)
    return "shown"


def use_embedder(path: Path) -> Any:
    from textkit import TextEmbedder

    return TextEmbedder.open(path).encode(TEXTS[:3]).tolist()


def make_sentence_folder(folder: Path) -> Path:
    import torch
    import transformers
    from safetensors.torch import save_file

    from textkit import tokenizers

    place = folder / "sentences"
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    config = transformers.BertConfig(**sizes, intermediate_size=8, max_position_embeddings=16)
    transformers.BertModel(config).save_pretrained(place)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "film", "walk", "song", "##s"]
    made = tokenizers.create("wordpiece", vocabulary=words)
    (place / "tokenizer.json").write_text(made.json, encoding="utf-8")  # type: ignore[attr-defined]
    modules = [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
        {"type": "sentence_transformers.models.Dense", "path": "2_Dense"},
    ]
    (place / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    for name, values in (
        ("1_Pooling", {"pooling_mode_mean_tokens": True, "include_prompt": True}),
        ("2_Dense", {"activation_function": "torch.nn.modules.activation.Tanh"}),
    ):
        (place / name).mkdir()
        (place / name / "config.json").write_text(json.dumps(values), encoding="utf-8")
    dense = {"linear.weight": torch.ones(4, 8), "linear.bias": torch.zeros(4)}
    save_file(dense, place / "2_Dense" / "model.safetensors")
    prompts = {"prompts": {"query": "good "}, "default_prompt_name": "query"}
    (place / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
    limits = {"max_seq_length": 8, "do_lower_case": True}
    (place / "sentence_bert_config.json").write_text(json.dumps(limits), encoding="utf-8")
    return place


def use_checkpoint(path: Path) -> Any:
    from textkit.training.checkpoints import load_newest

    found, problems = load_newest(path / "run" / "checkpoints")
    return [None if found is None else sorted(found.parts), problems]


def resume_run(path: Path) -> Any:
    from textkit.jobs import TrainOptions, train_run

    report = train_run(TrainOptions(data=path / "train.csv", out=path / "run", resume=True))
    return [report.n_rows, report.n_weights]


def use_report(path: Path) -> Any:
    from textkit.jobs import runs

    return runs.read_report(path).to_dict()


def make_report(folder: Path) -> Path:
    run = Path(shutil.copytree(seen.GOLDEN / "run-1" / "run", folder / "run"))
    shutil.rmtree(run / "checkpoints")
    return run


def use_shards(path: Path) -> Any:
    shown = seen.plain(seen.see_shards(path))
    shown.pop("notes")  # stand in the manifest, which nothing seals
    return shown


def use_recipe(path: Path) -> Any:
    from textkit.recipe import complete_recipe, read_recipe

    return complete_recipe(read_recipe(path)).to_toml()


def make_workbook(folder: Path) -> Path:
    """Make a workbook of shared and own texts, numbers and dates, which is not packed."""
    strings = "<si><t>text</t></si><si><t>label</t></si><si><t>good_x000D_</t></si>"
    cells = ('<c t="s"><v>0</v></c>', '<c r="B1" t="s"><v>1</v></c>', '<c t="s"><v>2</v></c>')
    rows = f"<row>{cells[0]}{cells[1]}</row><row>{cells[2]}<c><v>1.0</v></c></row>"
    rows += f'<row r="4">{sheets.text_cell("bad")}<c s="1"><v>45323.5</v></c></row>'
    merges = '<mergeCells><mergeCell ref="B4:B5"/></mergeCells>'
    styles = '<cellXfs><xf/><xf numFmtId="22"/></cellXfs>'
    xml = sheets.sheet_of(rows, merges)
    parts = sheets.parts_of({"S": xml}, strings=strings, styles=styles)
    return sheets.write_parts(str(folder / "rows.xlsx"), parts, packed=False)


def use_rows(path: Path) -> Any:
    from textkit.io.corpus import read_rows

    return [[row.text, row.label] for row in read_rows(path, on_bad="skip")]


def table_file(name: str) -> Callable[[Path], Path]:
    """Make a corpus of Parquet or Arrow."""

    def make(folder: Path) -> Path:
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table(
            {"text": ["good film", "", "naïve 漢字"] * 3, "label": ["a", None, "b"] * 3}
        )
        if name.endswith(".parquet"):
            parquet.write_table(table, folder / name)
        else:
            with (
                pa.OSFile(str(folder / name), "wb") as file,
                pa.ipc.new_file(file, table.schema) as to,
            ):
                to.write_table(table)
        return folder / name

    return make


def packed_rows(name: str) -> Callable[[Path], Path]:
    """Make a packed corpus."""

    def make(folder: Path) -> Path:
        import pyarrow as pa

        codec = {"gz": "gzip", "zst": "zstd"}[name.rpartition(".")[2]]
        with (
            pa.OSFile(str(folder / name), "wb") as file,
            pa.CompressedOutputStream(file, codec) as to,
        ):
            to.write(CSV.encode())
        return folder / name

    return make


def make_counts(folder: Path) -> Path:
    from textkit.tokenizers.counting import write_counts

    write_counts(folder / "x.counts", [("bad", 2), ("good", 3)], facts=COUNTED)
    return folder / "x.counts"


def use_counts(path: Path) -> Any:
    from textkit.tokenizers.counting import read_counts

    return list(read_counts([path], facts=COUNTED))


def use_predictions(path: Path) -> Any:
    from textkit.evaluation.predictions import PredictionFile

    return PredictionFile(path).take(3)


def use_pairs(path: Path) -> Any:
    from textkit import Vectors
    from textkit.evaluation.word_vectors import is_analogies, score_analogies, score_similarity

    table = np.array([[1, 0.1], [1, 0.2], [0.1, 1], [0.3, 1]], np.float32)
    vectors = Vectors(["cat", "dog", "car", "bus"], table)
    if is_analogies(path):
        return score_analogies(vectors, path).to_dict()
    return score_similarity(vectors, path).to_dict()


def make_job(folder: Path) -> Path:
    written("rows.csv", CSV)(folder)
    run_job(folder, resume=False)
    return folder


def run_job(folder: Path, *, resume: bool = True) -> Any:
    """Tokenize a corpus into parts, or go on with that."""
    from textkit.jobs.tokenize import TokenizeOptions, tokenize_corpus

    with contextlib.chdir(folder):  # a job knows its inputs by their names
        report = tokenize_corpus(
            TokenizeOptions(
                inputs=["rows.csv"], out=Path("out"), output="parquet", part_rows=2, resume=resume
            )
        )
    return report.n_rows


TORCH = ("torch", "textkit.classify.model_folder", "textkit.classify.classifier")
TARGETS: dict[str, Target] = {
    **{
        f"tokenizer-{kind}": Target(
            golden(f"tokenizer-1-{kind}"), use_tokenizer, sealed=True, foreign=True
        )
        for kind in ("bpe", "char", "unigram", "word", "wordpiece")
    },
    "tokenizer-spacy": Target(
        golden("tokenizer-1-spacy"),
        use_tokenizer,
        ("spacy", "spacy.lang.en"),
        sealed=True,
        foreign=True,
    ),
    "tokenizer-regex": Target(
        trained("regex", pattern=r"\w+|[^\w\s]+"), use_tokenizer, sealed=True, foreign=True
    ),
    "tokenizer-transformers": Target(make_transformers_tokenizer, use_tokenizer),
    "tokenizer-gpt2": Target(make_gpt2, use_tokenizer),
    "tokenizer-vocab-txt": Target(written("vocab.txt", "[UNK]\ngood\n##s\nfilm\n"), use_tokenizer),
    "tokenizer-gz": Target(make_packed_tokenizer, use_tokenizer),
    "tokenizer-tiktoken": Target(make_tiktoken, use_tokenizer),
    "sentencepiece-unigram": Target(sentencepiece("unigram"), use_tokenizer),
    "sentencepiece-bpe": Target(sentencepiece("bpe"), use_tokenizer),
    "vectors-float32": Target(golden("vectors-1-float32"), use_vectors),
    "vectors-int8": Target(golden("vectors-1-int8"), verify_vectors, sealed=True),
    "vectors-text": Target(samples.write_text, use_vectors),
    "vectors-glove": Target(samples.write_glove, use_vectors),
    "vectors-word2vec": Target(samples.write_binary, use_vectors),
    "vectors-fasttext": Target(samples.write_fasttext, use_vectors),
    "vectors-gensim": Target(samples.write_gensim, use_vectors),
    "vectors-model2vec": Target(samples.write_model2vec, use_vectors),
    "vectors-spacy": Target(samples.write_spacy, use_vectors, ("spacy", "spacy.lang.en")),
    "vectors-index": Target(make_index, use_index, ("usearch.index",), sealed=True),
    **{
        f"model-{name}": Target(golden(f"model-{name}"), use_model, TORCH, sealed=True)
        for name in (
            "1-lstm",
            "2-lstm",
            "2-bag-ngrams",
            "2-members",
            "2-multi-label",
            "2-regression",
        )
    },
    "model-info": Target(golden("model-2-lstm"), use_info, ("textkit.cli.info",), sealed=True),
    "embedder-classifier": Target(golden("model-2-lstm"), use_embedder, TORCH, sealed=True),
    "embedder-model2vec": Target(samples.write_model2vec, use_embedder),
    "embedder-sentences": Target(
        make_sentence_folder,
        use_embedder,
        (*TORCH, "transformers.models.bert.modeling_bert", "textkit.embedders.contextual"),
    ),
    "checkpoint": Target(golden("run-1"), use_checkpoint, (*TORCH, "textkit.training.checkpoints")),
    "run-resumed": Target(
        golden("run-1"), resume_run, (*TORCH, "accelerate", "textkit.jobs.train")
    ),
    "run-report": Target(make_report, use_report, ("textkit.jobs.runs",)),
    "shards": Target(golden("shards-1"), use_shards, sealed=True),
    "recipe": Target(
        written("r.toml", 'seed = 3\n[encoder]\nname = "bag"\n[training]\nepochs = 2\nlr = 0.01\n'),
        use_recipe,
        ("textkit.nn.encoders.bag",),
    ),
    "rows-csv": Target(written("rows.csv", CSV), use_rows),
    "rows-tsv": Target(written("rows.tsv", CSV.replace(",", "\t")), use_rows),
    "rows-txt": Target(written("rows.txt", "good film\n\nbad plot\n"), use_rows),
    "rows-fasttext": Target(written("rows.txt", "__label__a good\n__label__b bad\n"), use_rows),
    "rows-jsonl": Target(
        written(
            "rows.jsonl", '{"text": "good", "label": "a"}\n{"text": "b", "label": ["a", "b"]}\n'
        ),
        use_rows,
    ),
    "rows-parquet": Target(table_file("rows.parquet"), use_rows, ("pyarrow.parquet",)),
    "rows-arrow": Target(table_file("rows.arrow"), use_rows, ("pyarrow",)),
    "rows-xlsx": Target(make_workbook, use_rows, ("textkit.io.workbooks",)),
    "rows-gz": Target(packed_rows("rows.csv.gz"), use_rows),
    "rows-zst": Target(packed_rows("rows.csv.zst"), use_rows, ("pyarrow",)),
    "counts": Target(make_counts, use_counts),
    "predictions": Target(
        written("p.tsv", 'pos\t0.9\tneg\t0.1\n{"labels": [{"label": "b"}]}\nneg\n'),
        use_predictions,
    ),
    "word-pairs": Target(written("p.tsv", "cat\tdog\t9\ncat\tcar\t2\ndog\tcar\t1\n"), use_pairs),
    "analogies": Target(written("q.txt", ": kind\ncat dog car bus\n"), use_pairs),
    "job-resumed": Target(make_job, run_job, ("pyarrow.parquet", "textkit.jobs.tokenize")),
}
