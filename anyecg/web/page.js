// What the trace does by itself: go to a span, zoom, pan, calipers. Nothing is sent anywhere.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  let zoom = 1, first = null, drag = null, moved = false;

  const sheet = (node) => node.closest("svg.ecg-sheet");
  const make = (name, attributes) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const setZoom = (value) => {
    zoom = Math.min(6, Math.max(0.2, value));
    document.documentElement.style.setProperty("--ecg-zoom", zoom);
  };
  const number = (svg, key) => parseFloat(svg.dataset[key]);

  // Millimetres of the sheet under a pointer.
  const place = (svg, event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const lines = svg.dataset.lines.split(",").map(Number);
    return {x: point.x, y: point.y, line: lines.findIndex((bottom) => point.y < bottom)};
  };

  const goTo = (button) => {
    const block = document.querySelector(`.ecg-block[data-ecg="${button.dataset.ecg}"]`);
    if (!block) return;
    const svg = block.querySelector("svg.ecg-sheet"), scroll = block.querySelector(".ecg-scroll");
    const from = parseFloat(button.dataset.from), to = parseFloat(button.dataset.to);
    const x = (time) => number(svg, "margin") + (time - number(svg, "start")) * number(svg, "speed");
    const mm = svg.getBoundingClientRect().width / number(svg, "width");
    block.scrollIntoView({behavior: "smooth", block: "nearest"});
    scroll.scrollTo({left: ((x(from) + x(to)) / 2) * mm - scroll.clientWidth / 2, behavior: "smooth"});
    svg.querySelectorAll(".ecg-flash").forEach((old) => old.remove());
    const height = svg.viewBox.baseVal.height;
    svg.append(make("rect", {class: "ecg-flash", x: x(from), y: 0, width: Math.max(0.8, x(to) - x(from)), height}));
  };

  const clearCaliper = (svg) => svg.querySelectorAll(".ecg-caliper-mark").forEach((mark) => mark.remove());
  const caliper = (svg, event) => {
    const here = place(svg, event);
    const told = svg.closest(".ecg-block").querySelector(".ecg-caliper");
    const cross = (at) => svg.append(make("path", {class: "ecg-caliper-mark", d: `M${at.x} 0V${svg.viewBox.baseVal.height}M${at.x - 2} ${at.y}h4`}));
    if (!first || first.svg !== svg) {
      document.querySelectorAll("svg.ecg-sheet").forEach(clearCaliper);
      first = {svg, ...here};
      cross(here);
      told.textContent = "Click the second place.";
      return;
    }
    cross(here);
    svg.append(make("path", {class: "ecg-caliper-mark", d: `M${first.x} ${here.y}H${here.x}`}));
    const ms = Math.abs(here.x - first.x) / number(svg, "speed") * 1000;
    const words = [`${ms.toFixed(0)} ms`];
    if (ms > 0) words.push(`${(60000 / ms).toFixed(0)} bpm`);
    if (here.line === first.line) words.push(`${((first.y - here.y) / number(svg, "gain")).toFixed(2)} mV`);
    told.textContent = words.join(" · ");
    first = null;
  };

  document.addEventListener("click", (event) => {
    const go = event.target.closest(".ecg-goto");
    if (go) return goTo(go);
    const tool = event.target.closest(".ecg-tools button");
    if (tool) {
      const svg = tool.closest(".ecg-block").querySelector("svg.ecg-sheet");
      const by = tool.dataset.zoom;
      if (by === "fit") {
        const mm = svg.getBoundingClientRect().width / number(svg, "width") / zoom;
        setZoom(svg.parentElement.clientWidth / (number(svg, "width") * mm));
      } else setZoom(by === "1" ? 1 : zoom * parseFloat(by));
      return;
    }
    const svg = sheet(event.target);
    if (svg && !moved) caliper(svg, event);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    first = null;
    document.querySelectorAll("svg.ecg-sheet").forEach(clearCaliper);
  });
  document.addEventListener("wheel", (event) => {
    if (!event.ctrlKey || !sheet(event.target)) return;
    event.preventDefault();
    setZoom(zoom * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, {passive: false});
  document.addEventListener("pointerdown", (event) => {
    const svg = sheet(event.target);
    moved = false;
    if (svg) drag = {scroll: svg.parentElement, x: event.clientX, left: svg.parentElement.scrollLeft};
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    if (Math.abs(event.clientX - drag.x) > 4) moved = true;
    if (moved) drag.scroll.scrollLeft = drag.left - (event.clientX - drag.x);
  });
  document.addEventListener("pointerup", () => { drag = null; });
})();
