// What the theme and the gallery leave out for those who read without a mouse or a screen.
document.addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", "2");
  const reach = () => {
    for (const part of document.querySelectorAll("pre, .content table")) {
      if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    }
  };
  reach();
  window.addEventListener("resize", reach);
});
