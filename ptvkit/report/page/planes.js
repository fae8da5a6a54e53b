"use strict";
// Three planes of the patient with contours: a level set on a small grid, cut where the sliders stand.
const showPlanes = async (home, scene) => {
  const bytes = async (text) => {
    const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  };
  const element = (parent, tag, properties = {}) => parent.appendChild(Object.assign(document.createElement(tag), properties));
  const drawn = (parent, tag, attributes) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    return parent.appendChild(one);
  };
  const { shape, low, step } = scene;
  const strides = [shape[1] * shape[2], shape[2], 1];
  const structures = await Promise.all(scene.structures.map(async (one) => ({ ...one, level: new Int8Array(await bytes(one.level)), shown: true })));
  const image = scene.image ? new Int16Array(await bytes(scene.image)) : null;
  const at = [...scene.at];
  let window_ = scene.windows[0];

  // values of a plane's nodes, rows up and columns across, linear between the two nearest slices
  const cut = (values, plane) => {
    const normal = 3 - plane.across - plane.up;
    const place = Math.min(Math.max((at[normal] - low[normal]) / step, 0), shape[normal] - 1.001);
    const first = Math.floor(place), share = place - first;
    const [columns, rows] = [shape[plane.across], shape[plane.up]];
    const found = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      const index = first * strides[normal] + column * strides[plane.across] + row * strides[plane.up];
      found[row * columns + column] = (1 - share) * values[index] + share * values[index + strides[normal]];
    }
    return found;
  };
  // where nodes stand in the drawing, mm from its upper left corner; half a step of room around them
  const toX = (plane, column) => (plane.right > 0 ? column + 0.5 : shape[plane.across] - column - 0.5) * step;
  const toY = (plane, row) => (plane.top > 0 ? shape[plane.up] - row - 0.5 : row + 0.5) * step;

  const contour = (values, plane) => {
    const columns = shape[plane.across], rows = shape[plane.up];
    const points = [], parts = [];
    for (let row = 0; row + 1 < rows; row++) for (let column = 0; column + 1 < columns; column++) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const level = corners.map(([x, y]) => values[y * columns + x]);
      const ends = [];
      for (let side = 0; side < 4; side++) {
        const [a, b] = [level[side], level[(side + 1) % 4]];
        if (a <= 0 === b <= 0) continue;
        const share = a / (a - b), [from, to] = [corners[side], corners[(side + 1) % 4]];
        ends.push([toX(plane, from[0] + share * (to[0] - from[0])), toY(plane, from[1] + share * (to[1] - from[1]))]);
      }
      for (let end = 0; end + 1 < ends.length; end += 2) {
        parts.push(`M${ends[end].map((mm) => mm.toFixed(2)).join(" ")}L${ends[end + 1].map((mm) => mm.toFixed(2)).join(" ")}`);
        points.push(ends[end]);
      }
    }
    return { path: parts.join(""), points };
  };

  const keys = element(home, "div", { className: "keys" });
  for (const one of structures) {
    const label = element(keys, "label");
    const box = element(label, "input", { type: "checkbox", checked: true });
    element(label, "i").style.background = one.colour;
    label.append(one.name);
    box.addEventListener("change", () => { one.shown = box.checked; draw(); });
  }
  const choice = (text, options, act) => {
    const label = element(keys, "label", { textContent: text });
    const select = element(label, "select");
    options.forEach((one, number) => select.add(new Option(one.name, String(number))));
    select.addEventListener("change", () => { act(options[Number(select.value)]); draw(); });
  };
  if (image) choice("window", scene.windows, (one) => { window_ = one; });
  if (scene.places.length > 1) choice("go to", scene.places, (one) => at.splice(0, 3, ...one.at));

  const row = element(home, "div", { className: "row" });
  const panels = scene.planes.map((plane) => {
    const normal = 3 - plane.across - plane.up;
    const figure = element(row, "figure");
    figure.dataset.plane = plane.name;
    const caption = element(figure, "figcaption");
    element(caption, "span", { textContent: plane.name });
    const told = element(caption, "output");
    const stage = element(figure, "div", { className: "stage" });
    const [width, height] = [shape[plane.across] * step, shape[plane.up] * step];
    const fit = element(stage, "div", { className: "fit" });
    const canvas = element(fit, "canvas", { width: shape[plane.across], height: shape[plane.up] });
    const svg = drawn(fit, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${plane.name} plane with contours` });
    ["left", "right", "bottom", "top"].forEach((side, number) => element(stage, "span", { className: `letter ${side}`, textContent: plane.letters[number] }));
    const slider = element(figure, "input", { type: "range", min: low[normal] + step, max: low[normal] + (shape[normal] - 2) * step, step: step / 2, ariaLabel: `${plane.name} slice` });
    slider.addEventListener("input", () => { at[normal] = Number(slider.value); draw(); });
    svg.addEventListener("click", (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const [x, y] = [point.x / width, point.y / height];
      at[plane.across] = low[plane.across] - 0.5 * step + (plane.right > 0 ? x : 1 - x) * width;
      at[plane.up] = low[plane.up] - 0.5 * step + (plane.top > 0 ? 1 - y : y) * height;
      draw();
    });
    return { plane, normal, told, canvas, svg, slider, width, height };
  });

  const paint = ({ plane, canvas }) => {
    const values = cut(image, plane), context = canvas.getContext("2d");
    const [columns, rows] = [shape[plane.across], shape[plane.up]];
    const pixels = context.createImageData(columns, rows);
    for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) {
      const value = values[(plane.top > 0 ? rows - 1 - y : y) * columns + (plane.right > 0 ? x : columns - 1 - x)];
      const grey = 255 * (value - window_.low) / (window_.high - window_.low);
      pixels.data.set([grey, grey, grey, 255], 4 * (y * columns + x));
    }
    context.putImageData(pixels, 0, 0);
  };
  const draw = () => {
    for (const panel of panels) {
      const { plane, normal, svg, width, height } = panel;
      if (image) paint(panel);
      svg.replaceChildren();
      const x = toX(plane, (at[plane.across] - low[plane.across]) / step), y = toY(plane, (at[plane.up] - low[plane.up]) / step);
      drawn(svg, "line", { class: "cross", x1: x, x2: x, y1: 0, y2: height });
      drawn(svg, "line", { class: "cross", x1: 0, x2: width, y1: y, y2: y });
      structures.forEach((one, number) => {
        if (!one.shown) return;
        const { path, points } = contour(cut(one.level, plane), plane);
        if (!points.length) return;
        drawn(svg, "path", { d: path, stroke: one.colour, "data-structure": one.name });
        const angle = ((35 + 47 * number) * Math.PI) / 180, towards = [Math.cos(angle), -Math.sin(angle)];
        const worth = ([a, b]) => a * towards[0] + b * towards[1];
        const [left, top] = points.reduce((best, point) => (worth(point) > worth(best) ? point : best));
        const size = 0.045 * Math.max(width, height);
        const text = drawn(svg, "text", { x: left + 0.4 * size * towards[0], y: top + 0.4 * size * towards[1] + 0.3 * size, fill: one.colour, "font-size": size, "text-anchor": towards[0] > 0.2 ? "start" : towards[0] < -0.2 ? "end" : "middle" });
        text.textContent = one.name.length > 24 ? one.name.slice(0, 23) + "…" : one.name;
      });
      const letter = scene.axes[normal][at[normal] >= 0 ? 0 : 1];
      panel.told.textContent = `${letter} ${Math.abs(at[normal]).toFixed(1)} mm`;
      panel.slider.value = at[normal];
    }
  };
  draw();
  home.dataset.shown = scene.name || "yes";
};
