const place = document.getElementById("place");
const element = (id) => document.getElementById(id);

// "R 31 mm, A 12 mm, S 5 mm: image 74 of 255, probability 0.98, object 1"
function described(at) {
  const [x, y, z] = at.mm;
  const directed = [[x, "L", "R"], [y, "P", "A"], [z, "I", "S"]].map(
    ([mm, negative, positive]) => `${mm < 0 ? negative : positive}\u00a0${Math.abs(mm).toFixed(0)}\u00a0mm`);
  const [image, probability, object] = at.values.map((each) => each.value);
  return `${directed.join(", ")}: image ${image} of 255, probability ${(probability / 100).toFixed(2)}`
    + (object ? `, object ${object}` : "");
}

async function start() {
  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [0.35, 0.75, 1, 0.8], crosshairWidth: 1, dragAndDropEnabled: false,
    isRadiologicalConvention: true, isOrientCube: true, multiplanarShowRender: 1, loadingText: "",
    onLocationChange: (at) => { place.textContent = described(at); },
  });
  await viewer.attachToCanvas(element("stage"));
  // the order of the layers is that in which they are added
  const looks = [
    ["image", {colormap: "gray", cal_min: 0, cal_max: 255, opacity: 1}],
    ["probability", {colormap: "inferno", cal_min: 5, cal_max: 100, opacity: 0}],
    ["objects", {colormap: "red", cal_min: 0.5, cal_max: 0.6, opacity: 0.6}],
  ];
  for (const [name, look] of looks) {
    viewer.addVolume(await niivue.NVImage.loadFromBase64({base64: layers[name], name: `${name}.nii.gz`, ...look}));
    element(name).addEventListener("input", (event) => {
      viewer.setOpacity(looks.findIndex((each) => each[0] === name), Number(event.target.value));
    });
  }
  viewer.setInterpolation(false);
  viewer.setSliceType(viewer.sliceTypeMultiplanar);
  element("view").addEventListener("change", (event) => {
    const one = event.target.value;
    viewer.setSliceType(one === "all" ? viewer.sliceTypeMultiplanar : Number(one));
  });
  const go = (button) => {
    viewer.scene.crosshairPos = viewer.mm2frac(button.dataset.place.split(",").map(Number));
    viewer.createOnLocationChange();
    viewer.drawScene();
  };
  const buttons = [...document.querySelectorAll("button[data-place]")];
  for (const button of buttons) button.addEventListener("click", () => go(button));
  if (buttons.length) go(buttons[0]);
  else viewer.createOnLocationChange();
}

start().catch((error) => { place.textContent = `This browser cannot draw the volumes (${error.message}): it needs WebGL 2.`; });
