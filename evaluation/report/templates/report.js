"use strict";

/* Patients: click a column's head to sort by it; what is undefined stays at the end. */
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("thead tr:last-child th")];
  const body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.sort;
    const compare = (a, b) => a.localeCompare(b, "en", { numeric: true });
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return (falling ? -1 : 1) * (Number.isNaN(x - y) ? compare(x, y) : x - y);
    });
    body.append(...rows);
  }));
}

/* Pictures: the slider and the arrow keys go through the slices of a patient. */
document.documentElement.classList.add("live");
for (const patient of document.querySelectorAll(".patient")) {
  const slices = [...patient.querySelectorAll(".slices > figure")];
  const slider = patient.querySelector("input[type=range]");
  const show = () => {
    const shown = slider ? slider.value - 1 : 0;
    slices.forEach((slice, i) => slice.classList.toggle("shown", i === shown));
    if (slider) patient.querySelector("output").value = `${shown + 1} of ${slices.length}`;
  };
  if (slider) {
    slider.addEventListener("input", show);
    patient.addEventListener("keydown", event => {
      if (event.target === slider || patient.open === false) return;
      if (event.key === "ArrowRight") slider.stepUp();
      else if (event.key === "ArrowLeft") slider.stepDown();
      else return;
      event.preventDefault();
      show();
    });
  }
  show();
  /* a link to a slice */
  slices.forEach((slice, i) => {
    for (const link of document.querySelectorAll(`a[href="#${slice.id}"]`)) link.addEventListener("click", () => {
      if (slider) slider.value = i + 1;
      show();
    });
  });
}

/* A patient's name in the table opens the pictures. */
const openTarget = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus();
  }
};
addEventListener("hashchange", openTarget);
openTarget();

/* On paper every patient is open; afterwards those are closed again that were closed. */
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
  opened = [];
});
