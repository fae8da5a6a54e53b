"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pick = document.getElementById("quantity");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const LINES = ["--ctv", "--organ-1", "--organ-3", "--organ-5", "--organ-2", "--organ-4"];
  // Plotly reads markup in its texts; a name is text
  const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  for (const name of new Set(data.curves.map((one) => one.quantity))) pick.add(new Option(name, name));
  pick.parentElement.hidden = pick.options.length < 2;

  const plot = (id, traces, across, up, more = {}) => {
    const axis = { gridcolor: colour("--rule"), zerolinecolor: colour("--rule"), linecolor: colour("--rule") };
    Plotly.react(id, traces, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 13 },
      margin: { l: 60, r: 20, t: 10, b: 45 }, legend: { orientation: "h", y: -0.25 }, ...more,
      xaxis: { ...axis, title: { text: across }, ...more.xaxis }, yaxis: { ...axis, title: { text: up }, ...more.yaxis },
    }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
  };

  const draw = () => {
    const names = data.line.map((one) => plain(one.name));
    plot("line", [
      ...data.line.map((one, n) => ({ x: one.days, y: one.days.map(() => names[n]), name: plain(`${one.name}: ${one.text}`), type: "scatter", mode: "markers", marker: { color: colour(LINES[n % LINES.length]), size: 10 }, text: one.days.map((_, f) => `fraction ${f + 1}`), hovertemplate: "day %{x}: %{text}<extra></extra>" })),
      { x: data.line.map((one) => one.ct), y: names, name: "planning CT", type: "scatter", mode: "markers", marker: { color: colour("--ink"), size: 13, symbol: "square-open" }, hovertemplate: "day %{x}: planning CT<extra></extra>" },
    ], "day", "", { yaxis: { autorange: "reversed", automargin: true } });
    const shown = data.curves.filter((one) => one.quantity === pick.value);
    const traces = [];
    shown.forEach((one, n) => {
      const line = colour(LINES[n % LINES.length]), name = plain(one.name);
      const base = { type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false };
      traces.push({ ...base, x: one.gy, y: one.low, line: { width: 0 } }, { ...base, x: one.gy, y: one.high, line: { width: 0 }, fill: "tonexty", fillcolor: `${line}44` });
      traces.push({ x: one.gy, y: one.median, name, type: "scatter", mode: "lines", line: { color: line, width: 2 } });
      traces.push({ ...base, x: one.gy, y: one.planned, line: { color: line, width: 1, dash: "dash" } });
    });
    plot("dvh", traces, `accumulated dose (${plain(pick.value)}), Gy`, "volume that gets it", { hovermode: "x unified", yaxis: { tickformat: ".0%" } });
  };
  pick.addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
