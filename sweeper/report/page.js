"use strict";
// Figures are drawn when they come near the view; the theme follows the system until it is chosen.
(() => {
  const root = document.documentElement;
  const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const config = { displaylogo: false, responsive: true, displayModeBar: false };
  const drawn = new Set();

  const sourceOf = (name) => document.querySelector(`script[data-json="${CSS.escape(name)}"]`);
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);

  function draw(canvas) {
    const figure = JSON.parse(sourceOf(canvas.dataset.figure).textContent);
    const template = themes[isDark() ? "dark" : "light"];
    drawn.add(canvas);
    return Plotly.react(canvas, figure.data, { ...figure.layout, template }, config);
  }

  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      watcher.unobserve(entry.target);
      draw(entry.target);
    }),
    { rootMargin: "600px" },
  );
  document.querySelectorAll(".plot").forEach((canvas) => watcher.observe(canvas));
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll(".plot").forEach((canvas) => drawn.has(canvas) || draw(canvas));
  });

  // The theme.
  const mode = document.getElementById("mode");
  const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (stored) root.dataset.theme = stored;
  function showMode() {
    mode.setAttribute("aria-pressed", String(isDark()));
    drawn.forEach(draw);
  }
  mode.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* of this visit only */ }
    showMode();
  });
  systemDark.addEventListener("change", showMode);
  showMode();

  // Tables: a head sorts, again the other way round; equal rows keep their order.
  function keyOf(row, place) {
    const { key } = row.cells[place].dataset;
    const text = key ?? row.cells[place].textContent;
    return text === "-Infinity" || text === "-inf" ? -Infinity : text;
  }
  function compare(a, b) {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? String(a).localeCompare(String(b)) : x - y || 0;
  }
  function sort(table, place, descending) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [keyOf(row, place), row]);
    rows.sort(([a], [b]) => (descending ? compare(b, a) : compare(a, b)));
    body.append(...rows.map(([, row]) => row));
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const order = descending ? "descending" : "ascending";
      head.setAttribute("aria-sort", at === place ? order : "none");
    });
  }
  document.querySelectorAll("table.sortable").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      head.firstElementChild.addEventListener("click", () => {
        sort(table, place, head.getAttribute("aria-sort") === "ascending");
      });
    });
  });

  // Slices: the figures of one method at a time.
  const chooser = document.getElementById("slice-method");
  const place = document.getElementById("slice-plots");
  function showSlices() {
    place.querySelectorAll(".plot").forEach((canvas) => {
      drawn.delete(canvas);
      Plotly.purge(canvas);
    });
    const start = `slices/${chooser.value}/`;
    const sources = [...document.querySelectorAll("script[data-json]")];
    const names = sources.map((each) => each.dataset.json).filter((name) => name.startsWith(start));
    place.replaceChildren(...names.map(sliceOf));
    place.querySelectorAll(".plot").forEach(draw);
  }
  function sliceOf(name) {
    const { summary } = JSON.parse(sourceOf(name).textContent).layout.meta;
    const [figure, canvas, caption] = ["figure", "div", "figcaption"].map((tag) => document.createElement(tag));
    canvas.className = "plot";
    canvas.dataset.figure = name;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", summary);
    caption.textContent = summary;
    figure.append(caption, canvas);
    return figure;
  }
  if (chooser) {
    chooser.addEventListener("change", showSlices);
    showSlices();
  }
})();
