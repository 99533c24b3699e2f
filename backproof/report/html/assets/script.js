"use strict";
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const stored = () => { try { return localStorage.getItem("backproof-theme"); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem("backproof-theme", theme); } catch { /* private windows have none */ } };
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const say = () => { button.textContent = dark() ? "Light theme" : "Dark theme"; };
  if (stored() === "dark" || stored() === "light") root.dataset.theme = stored();
  button.hidden = false;
  say();
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; store(root.dataset.theme); say(); });

  const key = (row, column) => { const cell = row.cells[column]; return cell.dataset.key ?? cell.textContent.trim(); };
  const number = (text) => /^-?inf$/.test(text) ? (text[0] === "-" ? -Infinity : Infinity) : parseFloat(text);
  const compare = (a, b) => {
    const x = number(a), y = number(b);
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x === y ? 0 : x - y;
    return a.localeCompare(b, "en", { numeric: true });
  };
  const sort = (table, column, heading) => {
    const ascending = heading.getAttribute("aria-sort") !== "ascending", body = table.tBodies[0];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const rows = [...body.rows].sort((a, b) => compare(key(a, column), key(b, column)) * (ascending ? 1 : -1));
    body.append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const control = document.createElement("button");
      control.type = "button";
      control.textContent = heading.textContent;
      heading.replaceChildren(control);
      control.addEventListener("click", () => sort(table, column, heading));
    });
  }
  addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
})();
