// Nothing here is needed: it makes a form that works say that it is at work, and keys do what buttons do.
"use strict";

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  // Not disabled: a disabled button would leave its value out of the form.
  if (button.getAttribute("aria-busy") === "true") return event.preventDefault();
  button.setAttribute("aria-busy", "true");
  button.dataset.label = button.textContent;
  const busy = button.dataset.busy;
  if (busy) button.textContent = busy;
  if (event.target.hasAttribute("data-sends")) {
    event.preventDefault();
    send(event.target, button, busy);
  }
});

// Files take a while to send: say how far it is, and what became of it if no page comes back.
function send(form, button, busy) {
  const request = new XMLHttpRequest();
  const told = form.querySelector("[data-told]") || form.appendChild(document.createElement("div"));
  told.dataset.told = "";
  told.setAttribute("role", "status");
  const label = button.dataset.label;
  const ended = (why) => {
    told.className = "notice bad";
    told.setAttribute("role", "alert");
    told.textContent = `${why} Press ${label} to send it again; what was taken in before stays.`;
    button.removeAttribute("aria-busy");
    button.textContent = label;
  };
  request.upload.addEventListener("progress", (at) => {
    if (!at.lengthComputable) return;
    const share = Math.floor((100 * at.loaded) / at.total);
    told.className = "hint";
    told.textContent = share < 100 ? `${share} % sent` : `All sent. ${busy}`;
  });
  request.addEventListener("error", () => ended("The server could not be reached, or broke the connection off."));
  request.addEventListener("abort", () => ended("It was broken off."));
  request.addEventListener("load", () => {
    if (!request.response) return ended(`The server answered ${request.status} and nothing more.`);
    document.open();
    document.write(request.response);
    document.close();
  });
  request.open("POST", form.action);
  request.send(new FormData(form, button));
}

window.addEventListener("pageshow", () => {
  document.querySelectorAll('[aria-busy="true"]').forEach((button) => {
    button.removeAttribute("aria-busy");
    if (button.dataset.label) button.textContent = button.dataset.label;
  });
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
    press(found);
  }
});

// A form that was just exchanged is a plain one until htmx has seen it; to press it then would load a whole page.
function press(found, tries = 50) {
  const form = found.closest("form[hx-post]");
  const waits = form && window.htmx && !form.hasAttribute("data-htmx-powered");
  if (waits && tries) setTimeout(press, 10, found, tries - 1);
  else found.click();
}

// A part of the page was exchanged: go on reading where the new one begins.
document.addEventListener("htmx:after:swap", () => document.querySelector("[data-focus]")?.focus());
