// Keeps the page as the server would send it now. Without this script, it stays as it was loaded.
(function () {
  "use strict";
  var button = document.createElement("button"), paused = false, source, heard, timer;
  button.type = "button";
  button.onclick = function () { paused = !paused; connect(); };
  document.querySelector("nav").append(button);

  function show(state, text) {
    button.className = state;
    button.textContent = text;
    document.documentElement.dataset.live = state;
  }

  function connect() {
    if (source) source.close();
    clearTimeout(timer);
    if (paused || document.hidden) { show("paused", "paused"); return; }
    var url = new URL(location.href);
    url.searchParams.set("format", "events");
    source = new EventSource(url);
    source.onmessage = function (event) {
      heard = new Date();
      show("live", "live");
      later(lost, 5000);
      var next = new DOMParser().parseFromString(event.data, "text/html");
      document.title = next.title;
      patch(document.querySelector("header"), next.querySelector("header"));
      patch(document.querySelector("main"), next.querySelector("main"));
    };
    source.onerror = function () {
      if (source.readyState === EventSource.CLOSED) lost(); // else the browser tries again
    };
    later(lost, 5000);
  }

  function lost() {
    show("lost", heard ? "no answer since " + heard.toISOString().slice(11, 19) + " UTC" : "no answer");
    later(connect, 2000);
  }

  // later calls f, in place of what was to be called.
  function later(f, milliseconds) {
    clearTimeout(timer);
    timer = setTimeout(f, milliseconds);
  }

  // patch makes a node like another one, and touches nothing that is alike: what is selected
  // stays selected, what a reader has opened stays open, and what they write stays.
  function patch(node, like) {
    if (node.nodeType !== like.nodeType || node.nodeName !== like.nodeName) { node.replaceWith(document.importNode(like, true)); return; }
    if (node.nodeType !== Node.ELEMENT_NODE) { if (node.data !== like.data) node.data = like.data; return; }
    if (node.nodeName === "NAV" || node.nodeName === "FORM") return;
    Array.from(node.attributes).forEach(function (a) { if (!like.hasAttribute(a.name) && a.name !== "open") node.removeAttribute(a.name); });
    Array.from(like.attributes).forEach(function (a) { if (node.getAttribute(a.name) !== a.value) node.setAttribute(a.name, a.value); });
    var now = Array.from(node.childNodes), then = Array.from(like.childNodes);
    then.forEach(function (child, i) {
      if (i < now.length) patch(now[i], child); else node.append(document.importNode(child, true));
    });
    now.slice(then.length).forEach(function (child) { child.remove(); });
  }

  document.addEventListener("visibilitychange", connect);
  connect();
})();
