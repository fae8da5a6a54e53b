"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pick = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const LINES = ["#c8322d", "#1f7fb0", "#b07a10", "#4d8f2a", "#8450a0", "#00857a", "#a0522d", "#5566aa"];

  const fill = (select, options, chosen) => {
    for (const [value, text] of options) select.add(new Option(text, value, false, value === chosen));
    select.parentElement.hidden = options.length < 2;
  };
  const swept = data.swept.map((key) => [key, key]);
  fill(pick("figure"), data.figures.map((f) => [f.key, f.name]), data.figure);
  fill(pick("along"), swept.length ? swept : [["case", "case"]], data.along);
  fill(pick("by"), [["", "nothing"], ...swept], data.by);
  fill(pick("case"), [["", "mean of all cases"], ...data.cases.map((c) => [c, c])], "");
  const lesions = [...new Set(data.rows.map((r) => r.lesion))];
  fill(pick("lesion"), lesions.map((l) => [l, l]), "all");

  const mean = (rows, key) => {
    const values = rows.map((r) => r[key]).filter((v) => typeof v === "number");
    return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
  };
  const groups = (rows, key) => {
    const found = new Map();
    for (const row of rows) {
      const at = key ? row[key] : "";
      if (!found.has(at)) found.set(at, []);
      found.get(at).push(row);
    }
    return found;
  };

  const draw = () => {
    const [figure, along, by, one, lesion] = ["figure", "along", "by", "case", "lesion"].map((id) => pick(id).value);
    const about = data.figures.find((f) => f.key === figure);
    const rows = data.rows.filter((r) => (!one || r.case === one) && r.lesion === lesion);
    const traces = [];
    let number = 0;
    for (const [name, part] of groups(rows, by === along ? "" : by)) {
      const points = [...groups(part, along)];
      const x = points.map(([at]) => at);
      const y = points.map(([, list]) => mean(list, figure));
      const line = LINES[number++ % LINES.length];
      const low = points.map(([, list]) => mean(list, figure + "_low"));
      const high = points.map(([, list]) => mean(list, figure + "_high"));
      const bars = low.every((v) => v !== null)
        ? { error_y: { type: "data", symmetric: false, array: high.map((h, i) => h - y[i]), arrayminus: low.map((l, i) => y[i] - l), thickness: 1.2, width: 3 } }
        : {};
      traces.push({ x, y, ...bars, type: "scatter", mode: "lines+markers", name: by && by !== along ? `${by} ${name}` : about.name, line: { color: line, width: 2 }, marker: { size: 7 } });
    }
    const axis = { gridcolor: colour("--rule"), zerolinecolor: colour("--rule"), linecolor: colour("--rule") };
    Plotly.react("chart", traces, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 13 },
      margin: { l: 60, r: 20, t: 20, b: 50 }, hovermode: "x unified", showlegend: traces.length > 1,
      legend: { orientation: "h", y: -0.22 },
      xaxis: { ...axis, title: { text: along } }, yaxis: { ...axis, title: { text: about.name }, tickformat: about.share ? ".0%" : "" },
    }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
  };
  for (const id of ["figure", "along", "by", "case", "lesion"]) pick(id).addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();

  const body = document.querySelector("#table tbody");
  document.querySelectorAll("#table th").forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      document.querySelectorAll("#table th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const lines = [...body.rows];
      const worth = (row) => row.cells[column].textContent;
      const numbers = lines.every((row) => worth(row) === "" || !Number.isNaN(Number(worth(row))));
      lines.sort((a, b) => (numbers ? Number(worth(a)) - Number(worth(b)) : worth(a).localeCompare(worth(b))));
      body.append(...(down ? lines.reverse() : lines));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  });
})();
