"""`textkit info`: verify a folder of a model or an index, file by file, and say what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textkit.cli.command import OUTPUT, new_verb, verb
from textkit.cli.options import AsJsonLine, ModelFolder
from textkit.cli.output import show_line, to_json, write_line

app = new_verb()


@verb(app)
def info(
    model: ModelFolder,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Also list the layers, with shapes, weights and bytes.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: AsJsonLine = False,
) -> None:
    """Verify the folder of a model or a search index and say what is in it.

    Torch is needed for --layers alone.

    Examples:
        textkit info run/model
        textkit info run/model --layers
        textkit info run/model --json
        textkit info index
    """
    from textkit.search.building import is_index

    if is_index(model):
        _show_index(model, layers=layers, as_json=as_json)
        return
    from textkit.classify.compression import read_compression
    from textkit.classify.ensemble import EnsembleOptions
    from textkit.classify.model_config import CONFIG, check, read_recipe
    from textkit.io import files, hub, zipped
    from textkit.jobs.runs import find_model
    from textkit.registry import is_whole

    place = find_model(model)
    with zipped.unzipped(place) as folder:
        config = check(folder)
        recipe = read_recipe(config, folder)
        manifest = files.read_json(folder / files.MANIFEST)
    table = None
    if layers:
        from textkit import summary

        table = summary(place)
    if as_json:
        facts = {"config": config, "manifest": manifest}
        write_line(to_json(facts if table is None else facts | {"summary": table.to_dict()}))
        return
    labels, encoder = config["labels"], recipe.encoder.model_dump(mode="json", exclude_unset=True)
    shown = ", ".join(str(label) for label in labels[:12]) + (", ..." if len(labels) > 12 else "")
    named = model if hub.is_name(model) else place
    show_line(
        f"{named}: textkit {config['textkit_version']} model, format {manifest['format']}, all"
        " files verified"
    )
    options = " ".join(f"{key}={value}" for key, value in encoder.items())
    if recipe.encoder.name == "ensemble":
        show_line(f"features   {config['vocab_size']:,}, of all members")
        told = EnsembleOptions.of(recipe)
        for own, share in zip(told.recipes, told.shares, strict=True):
            show_line(f"member     {share:.2f} {own['encoder']['name']}")
    elif is_whole(recipe.encoder.name):
        show_line(f"features   {config['vocab_size']:,}")
        show_line(f"model      {options}")
    else:
        show_line(f"tokenizer  {recipe.tokenizer.name}, {config['vocab_size']:,} tokens")
        show_line(f"embedding  {recipe.embedding.dim} wide")
        show_line(f"encoder    {options}")
        show_line(f"pooling    {' + '.join(recipe.head.pooling)}")
    show_line(f"labels     {len(labels)}: {shown}")
    compression = read_compression(config, where=str(folder / CONFIG))
    if compression is not None:
        lost = manifest.get("compression", {})
        show_line(f"compressed {compression}")
        show_line(
            f"engine     {config.get('engine', 'ensemble')}, gives the labels of the original for"
            f" {lost.get('agreement', 0):.4f} of {lost.get('n_texts', 0):,} texts"
        )
    elif "engine" in config:
        difference = manifest.get("certificate", {}).get("difference", 0.0)
        show_line(f"engine     {config['engine']}, {difference:.1e} from the original at most")
    for name, entry in manifest["files"].items():
        show_line(f"{entry['bytes']:>12,}  {entry['sha256'][:12]}  {name}")
    if table is not None:
        show_line(str(table))


def _show_index(folder: Path, *, layers: bool, as_json: bool) -> None:
    """Verify a search index and say what is in it."""
    from textkit.errors import UsageError
    from textkit.io import files
    from textkit.search.index import SearchIndex

    if layers:
        raise UsageError("--layers is for a model; this is a search index")
    index = SearchIndex.open(folder, verify=True)
    manifest = files.read_json(folder / files.MANIFEST)
    if as_json:
        write_line(to_json({"config": index.config, "manifest": manifest}))
        return
    config = index.config
    show_line(
        f"{folder}: textkit {config['textkit_version']} search index, format {manifest['format']},"
        " all files verified"
    )
    show_line(f"rows       {len(index):,}, searched by {index.method}")
    if index.columns:
        show_line(f"columns    {', '.join(index.columns)}")
    if "words" in config:
        words = config["words"]
        show_line(f"words      {words['n_terms']:,} terms, BM25 k1={words['k1']} b={words['b']}")
    if "vectors" in config:
        told = config["vectors"]
        spec = told["model"].get("spec", "an embedder that was open")
        kind = told["fingerprint"][:12]
        show_line(f"vectors    {told['dim']} wide, {told['dtype']}, of {spec}, fingerprint {kind}")
    if "graph" in config:
        graph = config["graph"]
        show_line(
            f"graph      finds {graph['recall_at_10']:.1%} of the 10 nearest rows, measured with"
            f" {graph['measured_queries']} rows; connectivity {graph['connectivity']}, effort"
            f" {graph['effort']}"
        )
    for name, entry in manifest["files"].items():
        show_line(f"{entry['bytes']:>12,}  {entry['sha256'][:12]}  {name}")
