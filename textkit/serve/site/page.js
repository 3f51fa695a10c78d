// The page at `/`: asks this server alone, and writes what it answers as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const TOP = 12;
const SHOWN = 2000;
let models = [];

// Make an element with a class and text; text is always text.
function make(tag, { cls, text, dir } = {}, ...children) {
  const element = document.createElement(tag);
  if (cls) element.className = cls;
  if (text !== undefined) element.textContent = text;
  if (dir) element.dir = dir;
  element.append(...children);
  return element;
}

async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  const how = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(path, how);
  const told = await answer.json();
  if (answer.status === 401) $("key-row").hidden = false;
  if (!answer.ok) throw new Error(told.error ? told.error.message : `status ${answer.status}`);
  return told;
}

// A label that may break after what joins its words.
function breakable(label) {
  return label.split(/(?<=[_/.-])/).flatMap((part, i) => (i ? [make("wbr"), part] : [part]));
}

// Labels with bars; of a regression its numbers.
function bars(prediction) {
  if (prediction.values) {
    return make("p", { text: prediction.values.map((value) => value.toPrecision(5)).join("   ") });
  }
  const list = make("dl", { cls: "bars" });
  for (const { label, probability } of prediction.labels) {
    const bar = make("progress");
    bar.max = 1;
    bar.value = probability;
    bar.setAttribute("aria-label", `${label}`);
    const number = make("dd", { cls: "number", text: `${(100 * probability).toFixed(1)} %` });
    list.append(make("dt", { dir: "auto" }, ...breakable(`${label}`)), make("dd", {}, bar), number);
  }
  if (!prediction.labels.length) list.append(make("dt", { text: "no label" }));
  return list;
}

// The text with each token in a colour. Spans count code points, and may share a character.
function tokens(text, told) {
  const characters = Array.from(text);
  const line = make("p", { cls: "tokens", dir: "auto" });
  let at = 0;
  told.spans.forEach(([start, end], i) => {
    if (end <= at) return;
    const from = Math.max(start, at);
    line.append(characters.slice(at, from).join(""));
    const mark = make("mark", { cls: `c${i % 5}`, text: characters.slice(from, end).join("") });
    mark.title = `${told.tokens[i]}  ·  id ${told.ids[i]}`;
    line.append(mark);
    at = end;
  });
  line.append(characters.slice(at).join(""));
  return line;
}

// The words that spoke for the label in one colour, those against it in another, by their strength.
function reasons(text, told) {
  const characters = Array.from(text);
  const most = Math.max(...told.words.map((word) => Math.abs(word.score)), 1e-9);
  const line = make("p", { cls: "tokens", dir: "auto" });
  let at = 0;
  for (const { start, end, score } of told.words) {
    line.append(characters.slice(at, start).join(""));
    const strength = Math.round((4 * Math.abs(score)) / most);
    const mark = make("mark", { cls: strength ? `${score > 0 ? "for" : "against"}${strength}` : "none" });
    mark.textContent = characters.slice(start, end).join("");
    mark.title = `${score > 0 ? "+" : ""}${score.toFixed(3)}`;
    line.append(mark);
    at = end;
  }
  line.append(characters.slice(at).join(""));
  const said = make("p", { cls: "note", dir: "auto", text: `for ${told.label}` });
  said.append(make("mark", { cls: "for3", text: " for it " }), make("mark", { cls: "against3", text: " against it " }));
  return make("div", { cls: "reasons" }, said, line);
}

// What an index finds: its texts with the words of the query marked.
function found(hits) {
  const list = make("ol", { cls: "hits" });
  for (const hit of hits) {
    const characters = Array.from(hit.snippet);
    const line = make("p", { cls: "tokens", dir: "auto" });
    let at = 0;
    for (const [start, end] of hit.snippet_marks) {
      line.append(characters.slice(at, start).join(""));
      line.append(make("mark", { cls: "for2", text: characters.slice(start, end).join("") }));
      at = end;
    }
    line.append(characters.slice(at).join(""));
    const kept = Object.entries(hit.kept).map(([name, value]) => `${name} ${value}`);
    const facts = [`row ${hit.row}`, hit.score.toFixed(4), ...kept].join(" · ");
    list.append(make("li", {}, line, make("p", { cls: "note", text: facts, dir: "auto" })));
  }
  return hits.length ? list : make("p", { cls: "note", text: "nothing was found" });
}

// What the model read, and what it did not; nothing where it reads no tokens.
function note(count, truncated) {
  const counted = typeof count === "number";
  const said = make("p", { cls: "note", text: counted ? `${count.toLocaleString()} tokens` : "" });
  const cut = `${counted ? ", " : ""}${truncated.toLocaleString()} ${counted ? "more" : "tokens"} were cut`;
  if (truncated) said.append(make("strong", { cls: "cut", text: cut }));
  return counted || truncated ? said : "";
}

// One card: what a model says of the text.
async function card(model, text, second) {
  const box = make("article", { cls: "model" });
  const can = model.can;
  box.append(make("h2", { text: model.name, dir: "auto" }));
  const rows = model.rows && `${model.rows.toLocaleString()} texts`;
  const facts = [model.kind, model.task, rows, model.dim && `${model.dim} numbers a text`];
  box.append(make("p", { cls: "kind", text: facts.filter(Boolean).join(" · ") }));
  const asked = { model: model.name, texts: [text] };
  try {
    if (can.includes("predict")) {
      const [row] = (await ask("/predict", { ...asked, top: TOP })).predictions;
      if (row.error) throw new Error(row.error);
      box.append(bars(row));
      box.append(note(row.tokens, row.truncated));
    } else if (can.includes("embed") && second) {
      const told = await ask("/similarity", { ...asked, others: [second] });
      const cosine = told.cosines[0][0];
      const list = bars({ labels: [{ label: "cosine", probability: Math.max(0, cosine) }] });
      list.lastChild.textContent = cosine.toFixed(3);
      box.append(list);
      if (told.truncated[0]) box.append(note(null, told.truncated[0]));
    } else if (can.includes("embed")) {
      const [row] = (await ask("/embed", asked)).embeddings;
      if (row.error) throw new Error(row.error);
      const head = row.vector.slice(0, 8).map((value) => value.toFixed(3)).join(", ");
      box.append(make("p", { cls: "note", text: `[${head}${row.vector.length > 8 ? ", …" : ""}]` }));
      box.append(note(row.tokens, row.truncated));
    }
    if (can.includes("search")) {
      const [row] = (await ask("/search", { model: model.name, queries: [text], k: 5 })).results;
      if (row.error) throw new Error(row.error);
      box.append(found(row.hits));
    }
    if (can.includes("explain")) {
      const [row] = (await ask("/explain", asked)).explanations;
      box.append(row.error ? make("p", { cls: "note", text: row.error }) : reasons(text, row));
    }
    if (can.includes("tokenize")) {
      const [row] = (await ask("/tokenize", { ...asked, max_length: SHOWN })).texts;
      if (row.error) throw new Error(row.error);
      box.append(tokens(text, row));
      if (!can.includes("predict") && !can.includes("embed")) box.append(note(row.ids.length + row.truncated, 0));
      if (row.truncated) box.append(make("p", { cls: "note", text: `the first ${SHOWN.toLocaleString()} in colours` }));
    }
  } catch (error) {
    box.append(make("p", { cls: "cut", text: error.message }));
  }
  return box;
}

function shell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// Calls that give the same, to copy.
function calls(model, text) {
  const path = ["predict", "embed", "search", "tokenize"].find((verb) => model.can.includes(verb));
  const body = JSON.stringify({ model: model.name, [path === "search" ? "queries" : "texts"]: [text] });
  const place = location.origin;
  const key = $("key").value ? ` \\\n  -H "Authorization: Bearer $TEXTKIT_API_KEY"` : "";
  $("curl").textContent = `curl ${place}/${path}${key} \\\n  -d ${shell(body)}`;
  $("python").textContent =
    `from textkit import Client\n\nclient = Client(${JSON.stringify(place)})\n` +
    `print(client.${path}([${JSON.stringify(text)}], model=${JSON.stringify(model.name)}))`;
  $("calls").hidden = false;
}

async function run(event) {
  if (event) event.preventDefault();
  const text = $("text").value;
  const second = $("second-row").hidden ? "" : $("second").value;
  const chosen = models.filter((_, i) => $(`model-${i}`).checked);
  const button = document.querySelector("button[type=submit]");
  button.disabled = true;
  $("problem").hidden = true;
  const cards = await Promise.all(chosen.map((model) => card(model, text, second)));
  $("answers").replaceChildren(...cards);
  if (chosen.length) calls(chosen[0], text);
  button.disabled = false;
}

async function open() {
  try {
    models = (await ask("/info")).models;
  } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
    return;
  }
  const boxes = models.map((model, i) => {
    const box = make("input");
    box.type = "checkbox";
    box.id = `model-${i}`;
    box.checked = true;
    return make("label", {}, box, ` ${model.name}`);
  });
  $("models").replaceChildren(make("legend", { text: "Models" }), ...boxes);
  $("second-row").hidden = !models.some((model) => model.kind === "embedder");
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get("second")) $("second").value = given.get("second");
  if (given.get("text")) {
    $("text").value = given.get("text");
    await run();
  }
  document.body.dataset.ready = "yes";
}

$("form").addEventListener("submit", run);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(event);
});
$("key").addEventListener("change", open);
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}
open();
