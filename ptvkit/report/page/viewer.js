"use strict";
(async () => {
  const canvas = document.getElementById("slices");
  if (!canvas) return;
  const cases = JSON.parse(document.getElementById("volumes").textContent);
  const select = document.getElementById("viewed");
  const label = document.getElementById("viewer-note");
  const COLOURS = { R: [0, 63, 242, 232], G: [0, 184, 180, 65], B: [0, 232, 60, 60], A: [0, 90, 110, 130], I: [0, 1, 2, 3], labels: ["", "PTV", "CTV", "GTV"] };
  try {
    if (!document.createElement("canvas").getContext("webgl2")) throw new Error("there is no WebGL 2");
    const view = new niivue.Niivue({ backColor: [0.05, 0.07, 0.09, 1], isRadiologicalConvention: true, logLevel: "error", crosshairWidth: 0.5, show3Dcrosshair: false });
    await view.attachToCanvas(canvas);
    view.setSliceType(view.sliceTypeMultiplanar);
    const show = async () => {
      const chosen = cases[Number(select.value)];
      while (view.volumes.length) view.removeVolume(view.volumes[0]);
      if (chosen.image) view.addVolume(await niivue.NVImage.loadFromBase64({ name: "image.nii.gz", base64: chosen.image, colormap: "gray" }));
      const targets = await niivue.NVImage.loadFromBase64({ name: "targets.nii.gz", base64: chosen.targets });
      view.addVolume(targets);
      targets.setColormapLabel(COLOURS);
      if (chosen.image) view.setOpacity(1, 0.45);
      view.updateGLVolume();
      canvas.dataset.shown = chosen.name;
    };
    cases.forEach((one, number) => select.add(new Option(one.name, String(number))));
    select.addEventListener("change", show);
    await show();
  } catch (error) {
    canvas.hidden = true;
    label.textContent = `The viewer cannot run here (${error.message}); the planes are shown below.`;
  }
})();
