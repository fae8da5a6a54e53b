"use strict";
(() => {
  const cases = JSON.parse(document.getElementById("scenes").textContent);
  const select = document.getElementById("viewed"), home = document.getElementById("planes");
  const show = () => {
    home.replaceChildren();
    delete home.dataset.shown;
    return showPlanes(home, cases[Number(select.value)]);
  };
  cases.forEach((one, number) => select.add(new Option(one.name, String(number))));
  select.parentElement.hidden = cases.length < 2;
  select.addEventListener("change", show);
  show();
})();
