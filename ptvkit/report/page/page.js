"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pick = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const LINES = ["--organ-4", "--organ-1", "--organ-3", "--organ-5", "--organ-2", "--soft", "--ink"];
  const DASHES = ["solid", "dash", "dot"];
  // Plotly reads markup in its texts; a name is text
  const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const words = Object.fromEntries(data.swept.map((one) => [one.key, one.name]));
  const named = (key) => words[key] || key;

  const fill = (select, options, chosen) => {
    for (const [value, text] of options) select.add(new Option(text, value, false, value === chosen));
    select.parentElement.hidden = options.length < 2;
  };
  const swept = data.swept.map((one) => [one.key, one.name]);
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
      const x = points.map(([at]) => (typeof at === "string" ? plain(at) : at));
      const y = points.map(([, list]) => mean(list, figure));
      const line = colour(LINES[number % LINES.length]), dash = DASHES[Math.floor(number / LINES.length) % DASHES.length];
      number += 1;
      const low = points.map(([, list]) => mean(list, figure + "_low"));
      const high = points.map(([, list]) => mean(list, figure + "_high"));
      const single = points.every(([, list]) => list.length === 1);
      const bars = single && low.every((v) => v !== null)
        ? { error_y: { type: "data", symmetric: false, array: high.map((h, i) => h - y[i]), arrayminus: low.map((l, i) => y[i] - l), thickness: 1.2, width: 3 } }
        : {};
      traces.push({ x, y, ...bars, type: "scatter", mode: "lines+markers", name: by && by !== along ? plain(`${named(by)}: ${name}`) : about.name, customdata: points.map(([, list]) => list.map((row) => data.rows.indexOf(row))), line: { color: line, width: 2, dash }, marker: { size: 7 } });
    }
    const axis = { gridcolor: colour("--rule"), zerolinecolor: colour("--rule"), linecolor: colour("--rule") };
    Plotly.react("chart", traces, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 13 },
      margin: { l: 60, r: 20, t: 20, b: 50 }, hovermode: "closest", hoverlabel: { namelength: -1 }, showlegend: traces.length > 1,
      legend: { orientation: "h", y: -0.22 },
      xaxis: { ...axis, title: { text: plain(named(along)) } }, yaxis: { ...axis, title: { text: about.name }, tickformat: about.share ? ".0%" : "" },
    }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
  };
  // a point's cell closely: its close-up where that was computed, else the command that computes it
  const toml = (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value));
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const closer = (event) => {
    const { x, y } = event.points[0];
    const isComputed = (row) => data.swept.every((one) => String(row[one.key]) === String(data.chosen[one.key]));
    // points that lie on one another are all meant
    const meant = pick("chart").data.flatMap((trace) => trace.customdata.filter((_, i) => trace.x[i] === x && trace.y[i] === y)).flat().map((i) => data.rows[i]);
    const row = meant.find(isComputed) || data.rows[event.points[0].customdata[0]];
    const note = pick("point");
    note.hidden = false;
    note.replaceChildren();
    const cell = data.swept.map((one) => `${one.name} ${row[one.key]}`).join("; ");
    const select = pick("closer");
    const option = select && [...select.options].find((one) => one.text === row.case);
    if (isComputed(row) && option) {
      select.value = option.value;
      select.dispatchEvent(new Event("change"));
      note.append(`${row.case}, ${cell}: see below.`);
      pick("closely").scrollIntoView({ behavior: "smooth" });
      return;
    }
    const settings = data.swept.map((one) => ` --set ${quoted(`${one.key}=${toml(row[one.key])}`)}`).join("");
    note.append(`${row.case}, ${cell}: not computed here. To see this cell closely, give the masks of the case and run`);
    const code = document.createElement("code");
    code.textContent = `${data.command}${settings} -o closeup`;
    const button = document.createElement("button");
    button.textContent = "copy";
    button.addEventListener("click", () => navigator.clipboard && navigator.clipboard.writeText(code.textContent));
    note.append(code, button);
  };
  for (const id of ["figure", "along", "by", "case", "lesion"]) pick(id).addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  pick("chart").on("plotly_click", closer);

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
