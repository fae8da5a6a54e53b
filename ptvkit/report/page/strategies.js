"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const COLOURS = ["#8296aa", "#4c9bd6", "#9bd46a", "#e3cf57", "#b79df0", "#e58a5a", "#5fc7b5", "#d6719f"];
  const axis = () => ({ gridcolor: colour("--rule"), zerolinecolor: colour("--rule"), linecolor: colour("--rule") });
  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 13 },
    margin: { l: 60, r: 20, t: 40, b: 90 }, ...more,
  });
  const options = { displaylogo: false, responsive: true };

  data.bars.forEach((bar, number) => {
    const error = {
      type: "data", symmetric: false, thickness: 1.4, width: 5, color: colour("--ink"),
      array: bar.high.map((v, i) => v - bar.values[i]), arrayminus: bar.low.map((v, i) => bar.values[i] - v),
    };
    const trace = { x: bar.names, y: bar.values, type: "bar", error_y: error, marker: { color: bar.names.map((_, i) => COLOURS[i % COLOURS.length]) } };
    Plotly.newPlot(`bars-${number}`, [trace], layout({ title: { text: bar.title, font: { size: 15 } }, xaxis: axis(), yaxis: { ...axis(), rangemode: "tozero" } }), options);
  });

  let ptv = 0;
  const traces = data.contours.lines.map((line) => {
    const own = line.kind === "ptv" ? COLOURS[ptv++ % COLOURS.length] : colour(line.name === "GTV" ? "--gtv" : "--ctv") || colour("--ink");
    const x = [], y = [];
    for (const [across, up] of line.paths) {
      x.push(...across, null);
      y.push(...up, null);
    }
    return { x, y, name: line.name, type: "scatter", mode: "lines", hoverinfo: "name", line: { color: own, width: line.kind === "ptv" ? 2 : 2.5, dash: line.kind === "ptv" ? "solid" : "dot" } };
  });
  const planes = {
    height: 620, title: { text: data.contours.at, font: { size: 15 } },
    xaxis: { ...axis(), title: { text: "R ← mm → L" }, autorange: "reversed", scaleanchor: "y" },
    yaxis: { ...axis(), title: { text: "I ← mm → S" } },
  };
  Plotly.newPlot("contours", traces, layout(planes), options);
})();
