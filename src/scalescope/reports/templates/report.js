"use strict";
(function () {
  const root = document.documentElement;
  root.classList.replace("no-js", "js");
  // Tables stand open for readers without scripts; with figures they fold away.
  document.querySelectorAll("details.twin").forEach((twin) => twin.removeAttribute("open"));
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));

  const tip = document.getElementById("tip");
  function showTip(handler, event, item, value) {
    if (value === null || value === undefined || value === "") {
      tip.hidden = true;
      return;
    }
    tip.textContent = String(value);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const above = event.clientY - box.height - 12;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = (above > 8 ? above : event.clientY + 16) + "px";
  }

  // Nothing is ever fetched: the data are inside the specifications.
  const refuse = () => Promise.reject(new Error("reports ask for no files"));
  const loader = { options: {}, load: refuse, http: refuse, file: refuse, sanitize: refuse };
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const config = read("figure-config");
  const texts = read("figure-texts");
  const data = read("figure-data");
  const parts = read("figure-parts");

  function unpacked({ columns, numbers, rows }) {
    const cell = (name, value) => (numbers.includes(name) ? value : texts[value]);
    const present = (row) => columns.map((name, i) => [name, row[i]]).filter(([, value]) => value !== null);
    return rows.map((row) => Object.fromEntries(present(row).map(([name, value]) => [name, cell(name, value)])));
  }

  function completed(chart) {
    chart.datasets = Object.fromEntries(chart.datasets.map((name) => [name, unpacked(data[name])]));
    for (const layer of chart.layer) {
      for (const encoded of Object.values(layer.encoding)) {
        if (Number.isInteger(encoded.axis)) encoded.axis = parts[encoded.axis];
        if (Number.isInteger(encoded.scale)) encoded.scale = parts[encoded.scale];
      }
    }
    return chart;
  }

  async function draw(place) {
    const chart = completed(read(place.dataset.spec));
    const spec = vegaLite.compile(chart, { config }).spec;
    const view = new vega.View(vega.parse(spec, null, { ast: true }), {
      expr: vegaInterpreter,
      renderer: "svg",
      loader,
      container: place,
      hover: false,
      logLevel: vega.Warn,
      tooltip: showTip,
    });
    await view.runAsync();
    place.classList.add("drawn");
  }

  document.querySelectorAll("[data-spec]").forEach((place) => {
    draw(place).catch((error) => {
      place.classList.add("failed");
      place.textContent = "This figure could not be drawn; its table is below. (" + error.message + ")";
    });
  });
})();
