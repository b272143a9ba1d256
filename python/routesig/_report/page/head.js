(() => {
  let theme = null;
  try { theme = localStorage.getItem("routesig-theme"); } catch { /* a page opened as a file may have no storage */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  document.documentElement.classList.add("scripted");
})();
