"use strict";
// Filter and sort the table of the cohort. No library.
(() => {
  const table = document.getElementById("cases");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const text = document.getElementById("filter-text");
  const category = document.getElementById("filter-category");
  const grade = document.getElementById("filter-grade");
  const count = document.getElementById("filter-count");

  function filter() {
    const words = text.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = row.cells[0].textContent.toLowerCase().includes(words)
        && (!category.value || row.dataset.category === category.value)
        && (!grade.value || row.dataset.grade === grade.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length}`;
  }

  function sort(header, button) {
    const column = [...header.parentNode.children].indexOf(header);
    const down = header.getAttribute("aria-sort") !== "descending";
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const rank = (row) => (value(row) === "" ? -Infinity : Number(value(row)));
    const numeric = rows.every((row) => value(row) === "" || Number.isFinite(Number(value(row))));
    rows.sort((a, b) => (numeric ? rank(a) - rank(b) : value(a).localeCompare(value(b), "en", { numeric: true })));
    if (down) rows.reverse();
    body.append(...rows);
    button.focus();
  }

  for (const control of [text, category, grade]) control.addEventListener("input", filter);
  for (const button of table.tHead.querySelectorAll("button")) {
    button.disabled = false;
    button.addEventListener("click", () => sort(button.parentNode, button));
  }
  document.documentElement.classList.add("js");
  filter();
})();
