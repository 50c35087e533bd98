"use strict";

document.documentElement.classList.add("live");
const form = document.querySelector(".controls");
const list = document.querySelector(".patients");
const rows = [...list.children];

/* Which patients are shown, and in which order; equal ones stay as they were written. */
const apply = () => {
  const { split, pattern, order, look, outlines, shown } = form.elements;
  for (const row of rows) {
    row.hidden = (split.value !== "" && row.dataset.split !== split.value)
      || (pattern.value !== "*" && row.dataset.pattern !== pattern.value)
      || (look.checked && !row.classList.contains("look"));
  }
  const compare = {
    "": () => 0,
    case: (a, b) => a.dataset.case.localeCompare(b.dataset.case, "en", { numeric: true }),
    mm: (a, b) => b.dataset.mm - a.dataset.mm,
    deg: (a, b) => b.dataset.deg - a.dataset.deg,
  }[order.value];
  list.append(...[...rows].sort(compare));
  list.classList.toggle("plain", !outlines.checked);
  shown.value = `${rows.filter(row => !row.hidden).length} of ${rows.length} shown`;
};

/* A link to a patient shows the patient, whatever the filters say. */
const showTarget = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (!target || !rows.includes(target)) return;
  if (target.hidden) {
    form.reset();
    apply();
  }
  target.scrollIntoView();
};

form.addEventListener("input", apply);
form.addEventListener("submit", event => event.preventDefault());
addEventListener("hashchange", showTarget);
apply();
showTarget();
