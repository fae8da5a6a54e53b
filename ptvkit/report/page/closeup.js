"use strict";
(() => {
  const cases = JSON.parse(document.getElementById("closeups").textContent);
  const pick = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let CTV, SHADE, INK, SOFT;
  const take = () => { CTV = colour("--ctv"); SHADE = `${CTV}44`; INK = colour("--ink"); SOFT = colour("--soft"); };

  const plot = (id, traces, across, up, more = {}) => {
    const axis = { gridcolor: colour("--rule"), zerolinecolor: colour("--rule"), linecolor: colour("--rule") };
    Plotly.react(id, traces, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 13 },
      margin: { l: 60, r: 20, t: 10, b: 45 }, hovermode: "x unified", legend: { orientation: "h", y: -0.25 },
      ...more, xaxis: { ...axis, title: { text: across }, ...more.xaxis }, yaxis: { ...axis, title: { text: up }, tickformat: ".0%", ...more.yaxis },
    }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
  };
  const line = (x, y, name, shade, dash = "solid") => ({ x, y, name, type: "scatter", mode: "lines", line: { color: shade, width: 2, dash } });
  const band = (x, low, high, shade) => [
    { x, y: low, type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false },
    { x, y: high, type: "scatter", mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: shade, hoverinfo: "skip", showlegend: false },
  ];
  const mark = (gy) => (gy ? { shapes: [0.95, 1].map((part) => ({ type: "line", x0: part * gy, x1: part * gy, y0: 0, y1: 1, yref: "paper", line: { color: colour("--soft"), width: 1, dash: part < 1 ? "dot" : "dash" } })), annotations: [0.95, 1].map((part) => ({ x: part * gy, y: 0.02, yref: "paper", yanchor: "bottom", xanchor: "right", text: `${100 * part} %`, showarrow: false, font: { size: 11, color: colour("--soft") } })) } : {});

  const draw = () => {
    take();
    const one = cases[Number(pick("closer").value)];
    if (one.population) {
      const { gy, dmin_gy: least, d98_gy: near } = one.population;
      plot("population", [...band(gy, least.low, least.high, SHADE), line(gy, least.value, "Dmin", CTV), ...band(gy, near.low, near.high, SHADE), line(gy, near.value, "D98 %", CTV, "dash")], "accumulated dose, Gy", "patients who reach it", mark(one.prescription));
      pick("population-note").textContent = `${one.patients} patients; shades are 95 % intervals; the lines stand at 95 and 100 % of the prescription. A point of the curve is the share of patients whose target gets at least that dose.`;
    } else {
      plot("population", [line(one.miss.mm, one.miss.share, "patients", CTV)], "deepest miss of the course, mm", "patients who stay within", { showlegend: false, yaxis: { range: [0, 1.02] } });
      pick("population-note").textContent = `${one.patients} patients. A point of the curve is the share of patients whose target never reaches further out of the PTV.`;
    }
    pick("dvh-part").hidden = !one.dvh;
    if (one.dvh) {
      const { gy, low, high, median, planned } = one.dvh;
      plot("dvh", [...band(gy, low, high, SHADE), line(gy, median, "median", CTV), { ...line(gy, planned, "planned", colour("--ink")), line: { color: colour("--ink"), width: 1, dash: "dash" } }], "accumulated dose, Gy", "volume that gets it", mark(one.prescription));
    }
    const names = one.budget.map((entry) => entry.name.replaceAll("&", "&amp;").replaceAll("<", "&lt;"));
    const bars = (key, name, shade) => {
      const [value, low, high] = [0, 1, 2].map((end) => one.budget.map((entry) => entry[key][end]));
      return { x: value, y: names, name, type: "bar", orientation: "h", marker: { color: shade }, error_x: value.every((v) => v === 0) ? {} : { type: "data", symmetric: false, array: high.map((h, i) => h - value[i]), arrayminus: low.map((l, i) => value[i] - l), thickness: 1, width: 3 } };
    };
    plot("budget", [bars("alone", "alone", INK), bars("without", "without this source", SOFT)], "patients with a miss", "", { hovermode: "closest", margin: { l: 130, r: 20, t: 10, b: 45 }, xaxis: { tickformat: ".0%", rangemode: "tozero" }, yaxis: { autorange: "reversed", tickformat: "", automargin: true } });
  };
  cases.forEach((one, number) => pick("closer").add(new Option(one.case, String(number))));
  pick("closer").parentElement.hidden = cases.length < 2;
  pick("closer").addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
