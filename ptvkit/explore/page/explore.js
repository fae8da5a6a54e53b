"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const page = crypto.randomUUID();
const [figuresHome, stateHome, message, form] = ["figures", "state", "message", "controls"].map((id) => document.getElementById(id));
const element = (parent, tag, properties = {}) => parent.appendChild(Object.assign(document.createElement(tag), properties));
const drawn = (parent, tag, attributes) => {
  const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  return parent.appendChild(one);
};
const shownOf = (answer) => ({ version: answer.version, state: answer.state, figures: answer.figures, criterion: answer.criterion, error: answer.error, warnings: answer.warnings, curve: answer.curve });
let shown = shownOf(data);
let controls = data.controls;
let busy = 0;

const ask = async (path, body) => {
  const headers = { "X-Ptvkit-Token": data.token };
  const options = body === undefined ? { headers } : { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error ?? `the server answered ${answer.status}`);
  return content;
};
const say = (text) => { message.textContent = text; message.hidden = !text; };

// figures
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const interval = (one) => `95 % interval ${(100 * one.low).toFixed(1)}–${(100 * one.high).toFixed(1)}`;
const cc = (volume) => `${volume.toFixed(1)} cc`;
const sides = { R: "right", L: "left", A: "anterior", P: "posterior", S: "superior", I: "inferior" };
const lines = ({ figures, criterion }) => {
  const found = [];
  const add = (key, name, text, more = "", kind = "") => found.push({ key, name, text, more, kind });
  if (figures.gtv_cc !== null) add("gtv", "GTV", cc(figures.gtv_cc), "", "gtv");
  const margins = (name) => Object.entries(figures.achieved[name] ?? {}).map(([side, mm]) => `${side} ${mm.toFixed(1)}`).join("  ");
  add("ctv", "CTV", cc(figures.ctv_cc), margins("ctv") && `reached, mm: ${margins("ctv")}`, "ctv");
  add("ptv", "PTV", cc(figures.ptv_cc), `reached, mm: ${margins("ptv")}`, "ptv");
  for (const [name, volume] of Object.entries(figures.organ_cc)) add(`organ ${name}`, `${name} in the margin`, cc(volume), "inside PTV, outside CTV");
  if (figures.contained === null) return found;
  const about = figures.is_estimate ? "≈ " : "";
  add("contained", "patients contained", about + percent(figures.contained.value), interval(figures.contained), "estimated");
  if (figures.is_estimate) add("miss", "90 % miss less than", "…", "being simulated", "estimated");
  else {
    const worst = Object.keys(figures.sides).reduce((a, b) => (figures.sides[b].value > figures.sides[a].value ? b : a));
    const side = figures.sides[worst].value > 0 ? `deepest most often ${sides[worst]} (${percent(figures.sides[worst].value)})` : "no misses";
    add("miss", "90 % miss less than", `${figures.miss_mm["0.9"].toFixed(1)} mm`, side, "estimated");
  }
  if (figures.reached !== null) add("reached", `patients with ${criterion}`, about + percent(figures.reached.value), interval(figures.reached), "estimated");
  else if (figures.is_estimate && controls.some((one) => one.key === "dose.prescription_gy")) add("reached", `patients with ${criterion}`, "…", "being simulated", "estimated");
  return found;
};
const showFigures = () => {
  const list = document.createElement("dl");
  for (const line of lines(shown)) {
    const box = element(list, "div", { className: `figure ${line.kind}` });
    box.dataset.figure = line.key;
    element(box, "dt", { textContent: line.name });
    const value = element(box, "dd", { textContent: line.text });
    if (line.more) element(value, "small", { textContent: line.more });
  }
  figuresHome.replaceChildren(list);
  figuresHome.dataset.state = shown.state;
  figuresHome.dataset.version = shown.version;
  figuresHome.dataset.figures = JSON.stringify(shown.figures);
  const patients = `${shown.figures.patients.toLocaleString("en")} patients`;
  showCurve();
  stateHome.textContent = shown.state === "first" ? `first figures, rough shares of ${patients}; refining` : `refined figures, ${patients}`;
  if (shown.error) { stateHome.textContent = "not refined"; say(shown.error); } else if (shown.warnings.length) say(shown.warnings.join(" "));
};
// share of patients against the size of the PTV
const showCurve = () => {
  const home = document.getElementById("curve");
  const { growth_mm: growth, share } = shown.curve;
  if (shown.state !== "refined") { home.style.opacity = 0.5; return; }
  home.style.opacity = 1;
  home.hidden = share.length === 0;
  home.replaceChildren();
  if (home.hidden) return;
  const [width, height, left, bottom] = [480, 220, 44, 40];
  const toX = (mm) => left + ((mm - growth[0]) / (growth.at(-1) - growth[0])) * (width - left - 12);
  const toY = (value) => 10 + (1 - value) * (height - bottom - 10);
  const svg = drawn(home, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Share of patients with ${shown.criterion} against even growth of the PTV` });
  const write = (x, y, text, anchor) => { drawn(svg, "text", { x, y, "text-anchor": anchor }).textContent = text; };
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    drawn(svg, "line", { class: "rule", x1: left, x2: width - 12, y1: toY(value), y2: toY(value) });
    write(left - 6, toY(value) + 4, `${100 * value} %`, "end");
  }
  for (let mm = Math.ceil(growth[0] / 4) * 4; mm <= growth.at(-1); mm += 4) write(toX(mm), height - bottom + 16, mm > 0 ? `+${mm}` : String(mm), "middle");
  drawn(svg, "line", { class: "now", x1: toX(0), x2: toX(0), y1: 10, y2: height - bottom });
  drawn(svg, "path", { class: "line", d: growth.map((mm, number) => `${number ? "L" : "M"}${toX(mm).toFixed(1)} ${toY(share[number]).toFixed(1)}`).join("") });
  write((left + width) / 2, height - 6, "PTV larger on all sides by, mm", "middle");
  element(home, "figcaption", { textContent: `Patients with ${shown.criterion}, if the PTV were larger or smaller on all sides; rough shares.` });
};
const setBusy = (change) => {
  busy += change;
  figuresHome.setAttribute("aria-busy", String(busy > 0));
};

// changes: one request at a time, the latest values of each key
let waiting = {}, running = null;
const values = () => Object.fromEntries(controls.map((one) => [one.key, one.value]));
const past = [];
const change = (asked, keep = true) => {
  if (keep) past.push(values());
  Object.assign(waiting, asked);
  for (const one of controls) if (one.key in asked) one.value = asked[one.key];
  document.getElementById("undo").disabled = past.length === 0;
  running ??= work().finally(() => { running = null; });
};
const work = async () => {
  setBusy(1);
  while (Object.keys(waiting).length) {
    const sent = waiting;
    waiting = {};
    try {
      const answer = await ask("/set", sent);
      say("");
      if (!Object.keys(waiting).length) take(answer);
    } catch (error) {
      say(error.message);
      if (!Object.keys(waiting).length) take(await ask("/figures").catch(() => ({ ...shown, controls })));
    }
  }
  setBusy(-1);
};
const take = (answer) => {
  shown = shownOf(answer);
  const same = answer.controls.map((one) => one.key).join() === controls.map((one) => one.key).join();
  controls = answer.controls;
  if (same) for (const one of controls) fields.get(one.key)?.(one.value);
  else showControls();
  showFigures();
  drawPlanes();
  refine();
};
// waits on the server for the next figures of what is shown
let watching = false;
const refine = async () => {
  if (watching) return;
  watching = true;
  while (shown.state !== "refined" && !shown.error) {
    const answer = await ask(`/figures?version=${shown.version}&state=${shown.state}`).catch(() => null);
    if (answer === null) break;
    if (running || answer.version < shown.version) { await new Promise((done) => setTimeout(done, 50)); continue; }
    shown = shownOf(answer);
    showFigures();
  }
  watching = false;
};

// controls
const fields = new Map();
const linked = new Set(["CTV margin", "PTV margin"]);
const showControls = () => {
  const focused = document.activeElement?.id;
  form.replaceChildren();
  fields.clear();
  for (const group of new Set(controls.map((one) => one.group))) {
    const own = controls.filter((one) => one.group === group);
    const home = group.startsWith("Error") ? element(form, "details") : element(form, "fieldset");
    home.classList.toggle("ctv", group.startsWith("CTV"));
    element(home, home.tagName === "DETAILS" ? "summary" : "legend", { textContent: group });
    if (group.endsWith("V margin")) link(home, group, own);
    for (const one of own) one.options.length ? choice(home, one) : slider(home, one, own);
  }
  if (focused) document.getElementById(focused)?.focus();
};
const link = (home, group, own) => {
  const label = element(home, "label", { className: "linked" });
  const equal = own.every((one) => one.value === own[0].value);
  if (!equal) linked.delete(group);
  const box = element(label, "input", { type: "checkbox", checked: linked.has(group) });
  box.dataset.link = group;
  label.append("all sides together");
  box.addEventListener("change", () => (box.checked ? linked.add(group) : linked.delete(group)));
};
const slider = (home, one, own) => {
  const line = element(home, "div", { className: "line" });
  const id = `control-${one.key}`;
  element(line, "label", { textContent: one.label, htmlFor: id });
  const common = { min: one.low, max: Math.max(one.high, one.value), step: one.step };
  const range = element(line, "input", { type: "range", id, ...common });
  const exact = element(line, "input", { type: "number", ...common, step: "any", ariaLabel: `${one.group}: ${one.label}` });
  range.setAttribute("aria-describedby", "state");
  range.dataset.key = exact.dataset.key = one.key;
  const show = (value) => {
    if (Number(range.max) < value) range.max = value;
    if (document.activeElement !== exact || Number(exact.value) !== value) exact.value = value;
    range.value = value;
  };
  show(one.value);
  fields.set(one.key, show);
  let begun = false;
  const moved = (value) => {
    if (!Number.isFinite(value)) return;
    const rounded = one.step === 1 ? Math.round(value) : value;
    const all = linked.has(one.group) ? own : [one];
    const asked = Object.fromEntries(all.map((each) => [each.key, rounded]));
    for (const key of Object.keys(asked)) fields.get(key)(rounded);
    change(asked, !begun);
    begun = true;
  };
  range.addEventListener("input", () => moved(Number(range.value)));
  range.addEventListener("change", () => { begun = false; });
  exact.addEventListener("change", () => { moved(exact.value === "" ? NaN : Number(exact.value)); begun = false; });
};
const choice = (home, one) => {
  const line = element(home, "div", { className: "line choice" });
  const id = `control-${one.key}`;
  element(line, "label", { textContent: one.label, htmlFor: id });
  const select = element(line, "select", { id });
  select.dataset.key = one.key;
  one.options.forEach((option, number) => select.add(new Option(one.words[number], option)));
  select.value = one.value;
  fields.set(one.key, (value) => { select.value = value; });
  select.addEventListener("change", () => change({ [one.key]: select.value }));
};
const restore = (before) => {
  const now = values();
  const asked = Object.fromEntries(Object.entries(before).filter(([key, value]) => now[key] !== value));
  if ("guidance.match" in asked && asked["guidance.match"] !== "none") for (const key of Object.keys(before)) if (key.startsWith("guidance.")) asked[key] = before[key];
  if (asked["guidance.match"] === "none") for (const key of Object.keys(asked)) if (key.startsWith("guidance.") && key !== "guidance.match") delete asked[key];
  change(asked, false);
};
document.getElementById("undo").addEventListener("click", () => { if (past.length) restore(past.pop()); document.getElementById("undo").disabled = !past.length; });
document.getElementById("undo").disabled = true;

// pinned variants
const pins = [];
const showPins = () => {
  const table = document.getElementById("variants");
  table.replaceChildren();
  document.getElementById("pinned").hidden = pins.length === 0;
  if (!pins.length) return;
  const head = element(element(table, "thead"), "tr");
  element(head, "th", { textContent: "" });
  pins.forEach((pin, number) => element(head, "th", { textContent: `variant ${number + 1}`, scope: "col" }));
  const body = element(table, "tbody");
  const row = (name, cells) => {
    const line = element(body, "tr");
    element(line, "th", { textContent: name, scope: "row" });
    for (const cell of cells) element(line, "td", { textContent: cell });
  };
  row("patients", pins.map((pin) => String(pin.figures.patients)));
  const all = pins.map((pin) => new Map(lines(pin).map((line) => [line.key, line])));
  for (const key of new Set(all.flatMap((one) => [...one.keys()]))) row(all.find((one) => one.has(key)).get(key).name, all.map((one) => one.get(key)?.text ?? "–"));
  const last = controls.map((one) => one.key);
  for (const key of last) {
    const own = pins.map((pin) => pin.values[key]);
    if (new Set(own).size < 2) continue;
    const control = controls.find((one) => one.key === key);
    row(`${control.group}: ${control.label}`, own.map((value) => String(value ?? "–")));
  }
  const line = element(body, "tr");
  element(line, "th", { textContent: "", scope: "row" });
  pins.forEach((pin, number) => {
    const cell = element(line, "td");
    element(cell, "button", { type: "button", textContent: "Use", ariaLabel: `Use variant ${number + 1}` }).addEventListener("click", () => { past.push(values()); restore(pin.values); });
    element(cell, "button", { type: "button", textContent: "Remove", ariaLabel: `Remove variant ${number + 1}` }).addEventListener("click", () => { pins.splice(number, 1); showPins(); });
  });
};
document.getElementById("pin").addEventListener("click", () => { pins.push({ ...shown, values: values() }); showPins(); });
document.getElementById("save").addEventListener("click", async () => {
  const button = document.getElementById("save");
  button.disabled = true;
  try {
    while (running) await running;
    const saved = await ask("/save", {});
    say(`Saved in ${saved.folder}: ${saved.files.join(", ")}. The ${saved.state} figures (${saved.figures.patients} patients) again: ${saved.command} ${saved.warnings.join(" ")}`);
    document.getElementById("save").dataset.saved = JSON.stringify(saved);
  } catch (error) { say(error.message); }
  button.disabled = false;
});

// planes
const hidden = new Set();
const windows = { "soft tissue": [-160, 240], liver: [-10, 170], lung: [-1350, 150], bone: [-450, 1050] };
let window_ = windows["soft tissue"];
const keys = document.getElementById("keys");
for (const [name, colour] of Object.entries(data.colours)) {
  const label = element(keys, "label");
  const box = element(label, "input", { type: "checkbox", checked: true });
  element(label, "i").style.background = colour;
  label.append(name);
  box.addEventListener("change", () => { box.checked ? hidden.delete(name) : hidden.add(name); drawPlanes(); });
}
const axes = { axial: [0, 1, 2], coronal: [0, 2, 1], sagittal: [1, 2, 0] };
const letters = [["R", "L"], ["A", "P"], ["S", "I"]];
const panels = data.planes.map((plane) => {
  const figure = element(document.getElementById("planes"), "figure");
  figure.dataset.plane = plane.name;
  const caption = element(figure, "figcaption");
  element(caption, "span", { textContent: plane.name });
  const place = element(caption, "output");
  const stage = element(figure, "div", { className: "stage" });
  const fit = element(stage, "div", { className: "fit" });
  const canvas = element(fit, "canvas", { width: 1, height: 1 });
  const svg = drawn(fit, "svg", { role: "img", "aria-label": `${plane.name} plane with contours` });
  ["left", "right", "bottom", "top"].forEach((side, number) => element(stage, "span", { className: `letter ${side}`, textContent: plane.letters[number] }));
  const range = element(figure, "input", { type: "range", min: 0, max: plane.slices.length - 1, step: 1, ariaLabel: `${plane.name} slice` });
  range.value = plane.slices.reduce((best, mm, index) => (Math.abs(mm - plane.middle) < Math.abs(plane.slices[best] - plane.middle) ? index : best), 0);
  const panel = { plane, place, canvas, svg, range, asked: null, running: false, frame: null };
  range.addEventListener("input", () => drawPanel(panel));
  stage.addEventListener("wheel", (event) => { event.preventDefault(); range.value = Number(range.value) + Math.sign(event.deltaY); drawPanel(panel); }, { passive: false });
  return panel;
});
const drawPanel = async (panel) => {
  panel.asked = Number(panel.range.value);
  if (panel.running) return;
  panel.running = true;
  setBusy(1);
  try {
    while (panel.asked !== null) {
      const index = panel.asked;
      panel.asked = null;
      paint(panel, await ask(`/slice/${panel.plane.name}/${index}`));
    }
  } catch (error) { say(error.message); }
  panel.running = false;
  setBusy(-1);
};
const frameOf = (contours, image) => {
  if (image) {
    const half = image.step / 2; // pixels reach half a step beyond their centres
    return [[image.low[0] - half, image.low[1] - half], [image.low[0] + image.step * image.shape[1] - half, image.low[1] + image.step * image.shape[0] - half]];
  }
  const points = Object.values(contours).flat(2);
  if (!points.length) return null;
  const [x, y] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const lowest = (all) => all.reduce((a, b) => Math.min(a, b)) - 12, highest = (all) => all.reduce((a, b) => Math.max(a, b)) + 12;
  return [[lowest(x), lowest(y)], [highest(x), highest(y)]];
};
const paint = (panel, slice) => {
  const { plane, svg, canvas, place } = panel;
  const [, , normal] = axes[plane.name];
  const letter = letters[normal][slice.at_mm >= 0 ? 0 : 1];
  place.textContent = `${letter} ${Math.abs(slice.at_mm).toFixed(1)} mm`;
  const frame = frameOf(slice.contours, slice.image);
  if (frame) panel.frame = slice.image || !panel.frame ? frame : [[0, 1].map((n) => Math.min(panel.frame[0][n], frame[0][n])), [0, 1].map((n) => Math.max(panel.frame[1][n], frame[1][n]))];
  svg.replaceChildren();
  svg.dataset.version = slice.version;
  if (!panel.frame) return;
  const [low, high] = panel.frame;
  const [width, height] = [high[0] - low[0], high[1] - low[1]];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const toX = (mm) => (plane.right > 0 ? mm - low[0] : high[0] - mm), toY = (mm) => (plane.top > 0 ? high[1] - mm : mm - low[1]);
  if (slice.image) paintImage(canvas, slice.image, plane);
  for (const [name, all] of Object.entries(slice.contours)) {
    if (hidden.has(name) || !all.length) continue;
    const path = all.map((line) => line.map(([x, y], number) => `${number ? "L" : "M"}${toX(x).toFixed(2)} ${toY(y).toFixed(2)}`).join("")).join("");
    drawn(svg, "path", { d: path, stroke: data.colours[name], "data-structure": name });
  }
  const scale = 20;
  drawn(svg, "line", { x1: width * 0.04, x2: width * 0.04 + scale, y1: height * 0.96, y2: height * 0.96, stroke: "#e9edf1", "stroke-width": 2, "vector-effect": "non-scaling-stroke" });
  const text = drawn(svg, "text", { x: width * 0.04, y: height * 0.945, fill: "#e9edf1", "font-size": width * 0.045 });
  text.textContent = "20 mm";
};
const paintImage = (canvas, image, plane) => {
  const raw = Uint8Array.from(atob(image.values), (one) => one.charCodeAt(0));
  const values = new Int16Array(raw.buffer), [rows, columns] = image.shape;
  [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d"), pixels = context.createImageData(columns, rows);
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) {
    const value = values[(plane.top > 0 ? rows - 1 - y : y) * columns + (plane.right > 0 ? x : columns - 1 - x)];
    const grey = (255 * (value - window_[0])) / (window_[1] - window_[0]);
    pixels.data.set([grey, grey, grey, 255], 4 * (y * columns + x));
  }
  context.putImageData(pixels, 0, 0);
};
const drawPlanes = () => panels.forEach(drawPanel);
if (data.image) {
  const label = element(keys, "label", { textContent: "window " });
  const select = element(label, "select");
  for (const name of Object.keys(windows)) select.add(new Option(name, name));
  select.addEventListener("change", () => { window_ = windows[select.value]; drawPlanes(); });
}

// that the page is open, and when it closes
const here = () => ask(`/here/${page}`, {}).catch(() => say("The server has ended; figures no longer change."));
here();
setInterval(here, 15000);
addEventListener("pagehide", () => navigator.sendBeacon(`/closed/${page}?token=${encodeURIComponent(data.token)}`));
showControls();
showFigures();
drawPlanes();
refine();
