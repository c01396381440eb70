"use strict";
// The slices of the report: scroll, change window and plane, contours on and off. No library.
(() => {
  const data = JSON.parse(document.getElementById("slices").textContent);
  const viewer = document.getElementById("viewer");
  const control = (name) => viewer.querySelector(`[data-control="${name}"]`);
  const canvas = viewer.querySelector("canvas");
  const slider = control("slice");
  const status = control("status");
  const [width, height] = data.size;
  const depth = data.images.length;
  const area = width * height;
  const grey = new Uint8Array(depth * area);
  const labels = new Uint8Array(depth * area);
  const read = new Array(depth).fill(null);
  const LONGEST = 760; // pixels of the drawn plane
  const NAMES = { axial: "axial", coronal: "coronal", sagittal: "sagittal" };
  const LETTERS = { axial: ["R", "L"], coronal: ["R", "L"], sagittal: ["A", "P"] };
  const count = { axial: depth, coronal: height, sagittal: width };
  const shown = {
    plane: "axial",
    index: { axial: data.first, coronal: height >> 1, sagittal: width >> 2 },
    level: data.window[0],
    width: data.window[1],
    contours: true,
    fill: 0,
  };

  const scratch = document.createElement("canvas");
  const scratchContext = scratch.getContext("2d", { willReadFrequently: true });
  const scaled = document.createElement("canvas");
  const scaledContext = scaled.getContext("2d", { willReadFrequently: true });

  function picture(kind, base64) {
    return new Promise((done, failed) => {
      const image = new Image();
      image.onload = () => done(image);
      image.onerror = failed;
      image.src = `data:image/${kind};base64,${base64}`;
    });
  }

  function pixels(image, target, offset, convert) {
    scratch.width = width;
    scratch.height = height;
    scratchContext.drawImage(image, 0, 0);
    const colours = scratchContext.getImageData(0, 0, width, height).data;
    for (let i = 0; i < area; i += 1) target[offset + i] = convert(colours[4 * i]);
  }

  // Slice z in the volume; each is decoded once.
  function slice(z) {
    read[z] ??= Promise.all([picture("jpeg", data.images[z]), picture("png", data.labels[z])]).then(
      ([image, mask]) => {
        pixels(image, grey, z * area, (value) => value);
        pixels(mask, labels, z * area, (value) => Math.round(value / data.step));
      },
    );
    return read[z];
  }

  async function everySlice() {
    for (let z = 0; z < depth; z += 1) {
      if (z % 20 === 0) status.textContent = `reading slice ${z + 1} of ${depth} …`;
      await slice(z);
    }
  }

  // The plane that is shown, as stored: values, labels, size and the size of a pixel in mm.
  function cut() {
    const index = shown.index[shown.plane];
    const [zMm, yMm, xMm] = data.mm;
    if (shown.plane === "axial") {
      const part = [index * area, (index + 1) * area];
      return { grey: grey.subarray(...part), labels: labels.subarray(...part), width, height, mm: [yMm, xMm] };
    }
    const across = shown.plane === "coronal" ? width : height;
    const values = new Uint8Array(depth * across);
    const codes = new Uint8Array(depth * across);
    for (let z = 0; z < depth; z += 1) {
      for (let x = 0; x < across; x += 1) {
        const from = z * area + (shown.plane === "coronal" ? index * width + x : x * width + index);
        values[z * across + x] = grey[from];
        codes[z * across + x] = labels[from];
      }
    }
    return { grey: values, labels: codes, width: across, height: depth, mm: [zMm, shown.plane === "coronal" ? xMm : yMm] };
  }

  function windowed() {
    const [low, high] = data.grey;
    const bottom = shown.level - shown.width / 2;
    return Uint8ClampedArray.from({ length: 256 }, (_, value) =>
      (255 * (low + (value / 255) * (high - low) - bottom)) / shown.width);
  }

  function rgb(hex) {
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  }
  const COLOURS = Object.fromEntries(Object.entries(data.colours).map(([name, hex]) => [name, rgb(hex)]));

  function draw() {
    const plane = cut();
    const [tall, wide] = [plane.height * plane.mm[0], plane.width * plane.mm[1]];
    const scale = LONGEST / Math.max(tall, wide);
    const columns = Math.max(1, Math.round(scale * wide));
    const rows = Math.max(1, Math.round(scale * tall));
    scratch.width = plane.width;
    scratch.height = plane.height;
    const stored = scratchContext.createImageData(plane.width, plane.height);
    for (let i = 0; i < plane.grey.length; i += 1) {
      stored.data[4 * i] = stored.data[4 * i + 1] = stored.data[4 * i + 2] = plane.grey[i];
      stored.data[4 * i + 3] = 255;
    }
    scratchContext.putImageData(stored, 0, 0);
    scaled.width = canvas.width = columns;
    scaled.height = canvas.height = rows;
    scaledContext.imageSmoothingQuality = "high";
    scaledContext.drawImage(scratch, 0, 0, columns, rows);
    const image = scaledContext.getImageData(0, 0, columns, rows);
    const window_ = windowed();
    for (let i = 0; i < image.data.length; i += 4) {
      image.data[i] = image.data[i + 1] = image.data[i + 2] = window_[image.data[i]];
    }
    overlay(image.data, plane, columns, rows);
    const context = canvas.getContext("2d");
    context.putImageData(image, 0, 0);
    letter(context, columns, rows);
  }

  // Contours: lesions solid, lungs dashed, lobes dotted; consolidation is hatched where filled.
  function overlay(colours, plane, columns, rows) {
    if (!shown.contours && !shown.fill) return;
    const codes = new Uint8Array(columns * rows);
    for (let y = 0; y < rows; y += 1) {
      const from = Math.floor(((y + 0.5) * plane.height) / rows) * plane.width;
      for (let x = 0; x < columns; x += 1) {
        codes[y * columns + x] = plane.labels[from + Math.floor(((x + 0.5) * plane.width) / columns)];
      }
    }
    const paint = (i, colour, share) => {
      for (let k = 0; k < 3; k += 1) {
        colours[4 * i + k] = (1 - share) * colours[4 * i + k] + share * colour[k];
      }
    };
    const lesions = codes.map((code) => code % 3);
    const parts = codes.map((code) => Math.floor(code / 3));
    const edge = (values, i, distance) => {
      const value = values[i];
      const below = distance * columns;
      return values[i - distance] !== value || values[i + distance] !== value
        || values[i - below] !== value || values[i + below] !== value;
    };
    const beside = (i) => !codes[i - 1] || !codes[i + 1] || !codes[i - columns] || !codes[i + columns];
    for (let i = 0; i < codes.length; i += 1) {
      if (!codes[i]) continue;
      const along = (i % columns) + Math.floor(i / columns); // runs down the diagonal
      if (lesions[i]) {
        const dense = lesions[i] === 2;
        const colour = dense ? COLOURS.consolidation : COLOURS.ggo;
        if (shown.fill) paint(i, colour, Math.min(1, shown.fill * (dense && along % 9 < 3 ? 2 : 1)));
        if (shown.contours && (edge(lesions, i, 1) || edge(lesions, i, 2))) {
          paint(i, colour, 1);
          continue;
        }
      }
      if (!shown.contours) continue;
      if (beside(i)) {
        if (along % 14 < 9) paint(i, COLOURS.lungs, 1);
      } else if (edge(parts, i, 1) && along % 7 < 3) paint(i, COLOURS.lobes, 1);
    }
  }

  function letter(context, columns, rows) {
    if (!data.sides && shown.plane !== "sagittal") return;
    const [left, right] = LETTERS[shown.plane];
    context.font = "bold 20px sans-serif";
    context.lineWidth = 4;
    context.strokeStyle = "#000";
    context.fillStyle = "#fff";
    for (const [text, x] of [[left, 8], [right, columns - 24]]) {
      context.strokeText(text, x, rows / 2);
      context.fillText(text, x, rows / 2);
    }
  }

  function describe() {
    const index = shown.index[shown.plane];
    let text = `${NAMES[shown.plane]} slice ${index + 1} of ${count[shown.plane]}`;
    if (shown.plane === "axial") {
      if (data.positions) text += ` · ${data.positions[index].toFixed(1).replace("-", "−")} mm`;
      const percent = data.percents[index];
      text += percent === null ? " · no lung" : ` · opacity ${percent.toFixed(1)} % of the lung in this slice`;
    }
    status.textContent = text;
    canvas.setAttribute("aria-label", text);
    slider.setAttribute("aria-valuetext", text);
    const mark = document.getElementById("curve-mark");
    if (mark) {
      const { first, last, left, right } = mark.ownerSVGElement.dataset;
      const share = (shown.index.axial - first + 0.5) / (last - first + 1);
      const at = Number(left) + share * (right - left);
      mark.setAttribute("x1", at);
      mark.setAttribute("x2", at);
      mark.setAttribute("visibility", share < 0 || share > 1 ? "hidden" : "visible");
    }
  }

  let wanted = 0;
  async function show() {
    const turn = (wanted += 1);
    slider.max = count[shown.plane];
    slider.value = shown.index[shown.plane] + 1;
    try {
      if (shown.plane === "axial") await slice(shown.index.axial);
      else await everySlice();
    } catch {
      status.textContent = "This browser cannot show the slices.";
      return;
    }
    if (turn !== wanted) return;
    draw();
    describe();
    viewer.dataset.shown = `${shown.plane} ${shown.index[shown.plane]}`;
  }

  function go(index) {
    const last = count[shown.plane] - 1;
    shown.index[shown.plane] = Math.min(last, Math.max(0, Math.round(index)));
    show();
  }

  const move = (steps) => go(shown.index[shown.plane] + steps);

  function choose(name, value) {
    for (const button of viewer.querySelectorAll(`[data-${name}]`)) {
      button.setAttribute("aria-pressed", String(button.dataset[name] === value));
    }
  }

  function setPlane(plane) {
    shown.plane = plane;
    choose("plane", plane);
    show();
  }

  function setWindow(level, wide) {
    if (!Number.isFinite(level) || !(wide > 0)) return;
    shown.level = level;
    shown.width = wide;
    const button = [...viewer.querySelectorAll("[data-window]")].find((b) => b.dataset.window === `${level} ${wide}`);
    choose("window", button ? button.dataset.window : "");
    if (control("level")) {
      control("level").value = level;
      control("width").value = wide;
    }
    show();
  }

  function setContours(on) {
    shown.contours = on;
    control("contours").checked = on;
    show();
  }

  slider.addEventListener("input", () => go(slider.value - 1));
  control("contours").addEventListener("change", (event) => setContours(event.target.checked));
  control("fill").addEventListener("input", (event) => {
    shown.fill = event.target.value / 100;
    show();
  });
  for (const name of ["level", "width"]) {
    control(name)?.addEventListener("change", () =>
      setWindow(control("level").valueAsNumber, control("width").valueAsNumber));
  }
  viewer.addEventListener("click", ({ target }) => {
    const { plane, window: pair } = target.dataset;
    if (plane) setPlane(plane);
    if (pair) setWindow(...pair.split(" ").map(Number));
  });
  let turned = 0;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    // Touchpads send many small turns.
    turned += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const steps = Math.trunc(turned);
    turned -= steps;
    if (steps) move(Math.abs(event.deltaY) >= 100 ? Math.sign(steps) : steps);
  }, { passive: false });

  const KEYS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10 };
  document.addEventListener("keydown", (event) => {
    const busy = event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input[type=number]");
    if (busy) return;
    if (event.key === "c" || event.key === "C") {
      setContours(!shown.contours);
      return;
    }
    // Elsewhere on the page the arrows scroll it, as always.
    if (event.target !== canvas) return;
    if (event.key in KEYS) move(KEYS[event.key]);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(count[shown.plane] - 1);
    else return;
    event.preventDefault();
  });

  function jump(z) {
    shown.index.axial = z;
    setPlane("axial");
    viewer.scrollIntoView({ block: "start" });
    canvas.focus({ preventScroll: true });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-slice]");
    if (!link) return;
    event.preventDefault();
    jump(Number(link.dataset.slice));
  });
  document.getElementById("curve")?.addEventListener("click", ({ currentTarget, clientX }) => {
    const { first, last, left, right } = currentTarget.dataset;
    const box = currentTarget.getBoundingClientRect();
    const at = ((clientX - box.left) / box.width) * currentTarget.viewBox.baseVal.width;
    const share = (at - left) / (right - left);
    jump(Math.min(last, Math.max(first, Math.floor(Number(first) + share * (last - first + 1)))));
  });

  document.documentElement.classList.add("js");
  show();
})();
