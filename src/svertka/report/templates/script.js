// Only a nicety: the page reads the same without it.
(function () {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  button.hidden = false;
  button.addEventListener("click", function () {
    const set = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = set === "dark" ? "light" : "dark";
  });
  // Paper cannot unfold a list.
  addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (list) { list.open = true; });
  });
})();
