// Nothing here is needed: it makes a form that works say that it is at work, and keys do what buttons do.
"use strict";

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  // Not disabled: a disabled button would leave its value out of the form.
  if (button.getAttribute("aria-busy") === "true") return event.preventDefault();
  button.setAttribute("aria-busy", "true");
  const busy = button.dataset.busy;
  if (busy) button.textContent = busy;
});

window.addEventListener("pageshow", () => {
  document.querySelectorAll('[aria-busy="true"]').forEach((button) => button.removeAttribute("aria-busy"));
});

// A key presses the button or follows the link that names it in data-key, unless somebody is writing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const at = event.target;
  if (event.key === "Escape" && at.matches && at.matches("textarea")) return at.blur();
  if (at.closest && at.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]")) return;
  const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (found) {
    event.preventDefault();
    found.click();
  }
});

// A part of the page was exchanged: go on reading where the new one begins.
document.addEventListener("htmx:after:swap", () => document.querySelector("[data-focus]")?.focus());
