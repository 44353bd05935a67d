// Calls and sockets on the operator page; uses the helpers of operator.html.
"use strict";
const CODES = { 2: "invalid token (2)", 3: "expired token (3)", 11: "concurrent requests (11)", 13: "forbidden (13)" };
const RING_MODES = {
  "as the model does": {}, "offer and status": { offer: true, status: true },
  "status before offer": { offer: true, status: true, status_first: true },
  "offer only": { offer: true, status: false }, "status only": { offer: false, status: true },
  "status that names the panel": { offer: false, status: true, names_panel: true },
  "no push": { offer: false, status: false },
};
const SWITCHES = [
  ["drop_clients_that_ping", "Drop clients that ping"],
  ["half_open", "Half open: send, handle and close nothing"],
  ["ignore_subscriptions", "Ignore subscriptions"],
  ["pushes_stop_with_token", "Stop pushes when the token ends"],
];
const SECONDS = [
  ["server_ping_every", "Ping connections every", 20],
  ["drop_clients_that_do_not_ping_within", "Drop clients that do not ping within", 60],
  ["handshake_delay", "Delay handshakes by", 5],
];
const refusals = [["are accepted", null], ...Object.entries(CODES).map(([code, name]) => [`are refused: ${name}`, Number(code)])];
const CHOICES = [
  ["accept_then_close", "Connections", [["stay open", null], ["end after the handshake", "handshake"], ["end once subscribed", "subscribed"]]],
  ["refuse_subscriptions", "Subscriptions", refusals],
  ["refuse_first", "Refused subscriptions", [["all", null], ["the next one", 1], ["the next 3", 3], ["none", 0]]],
  ["refuse_resubscriptions", "Resubscriptions", refusals],
  ["handshake_status", "Handshakes", [["succeed", null], ["answer 401", 401], ["answer 429", 429], ["answer 500", 500], ["answer 503", 503]]],
  ["handshake_retry_after", "Retry-After", [["is not sent", null], ["says 5 s", 5], ["says 30 s", 30], ["says 300 s", 300]]],
  ["close_code", "The cloud ends connections", [["without a close frame", null], ["with 1000, normal", 1000], ["with 1001, going away", 1001], ["with 1008, policy", 1008], ["with 1011, error", 1011], ["with 1012, restart", 1012]]],
];
const NORMAL = { pushes_stop_with_token: true, handshake_delay: 0 };
const normal = (name) => NORMAL[name] ?? ([...SWITCHES].some(([each]) => each === name) ? false : null);

function ring(panel) {
  const given = { panel, ...RING_MODES[$("ring-mode").value], pictures: $("pictures").checked, receivers: Number($("receivers").value) || 1 };
  const late = Number($("late").value);
  act("ring", late ? { ...given, late } : given, "Ringing");
}
function ringButton(module) {
  const node = make("button", "Ring", "main");
  node.setAttribute("aria-label", `Ring at ${module.name ?? module.id}`);
  node.onclick = () => ring(module.id);
  return node;
}
function ringWithoutPanel(module) {
  const node = make("button", "Ring, panel unknown", "quiet");
  node.onclick = () => ring(module.id);
  return node;
}
function showCalls() {
  const shown = state.calls.toReversed();
  $("calls").hidden = !shown.length;
  $("calls").replaceChildren(...shown.map(callRow));
}
function callRow(call) {
  const node = make("li", undefined, "call" + (call.answered ? " answered" : "")), what = make("span"), row = make("div", undefined, "row");
  what.append(make("strong", call.name), call.answered ? ": answered, started at " : ": ringing since ", clock(call.at));
  const session = call.session_id;
  if (!call.answered) row.append(
    button("Answer elsewhere", "answer_elsewhere", { session }, "Answered elsewhere", "main"),
    button("Miss", "miss", { session }, "Call missed"));
  row.append(button("Hang up", "hang_up", { session }, "Call ended"),
    button("End without a push", "end_silently", { session }, "Call ended without a push", "quiet"));
  node.append(what, row);
  return node;
}
function showConnections() {
  const rows = state.connections.map((connection) => {
    const node = make("li", undefined, "line"), [text, kind] = connectionState(connection);
    const counts = `since ${clock(connection.opened_at)} · subscribed ${connection.subscriptions} × · ${connection.pings} pings · ${connection.frames_sent} frames sent`;
    node.append(make("strong", `${connection.path === "/ws/" ? "Push" : "Signaling"} ${connection.number}`), make("span", text, "pill " + kind), make("span", counts, "small soft"));
    return node;
  });
  if (!rows.length) rows.push(make("li", "No connections.", "small soft"));
  $("connections").replaceChildren(...rows);
}
function connectionState(connection) {
  if (connection.half_open) return ["half open", "bad"];
  if (!connection.subscribed) return ["not subscribed", "warn"];
  return connection.path === "/ws/" && !connection.receives_pushes ? ["token ended, no pushes", "bad"] : ["subscribed", "good"];
}
function showSockets() {
  const off = Object.entries(state.sockets).filter(([name, value]) => value !== normal(name)).length;
  $("troubles").textContent = off ? `${off} ${off === 1 ? "setting" : "settings"} changed` : "defaults";
  $("troubles").className = "pill " + (off ? "warn" : "good");
  showSettings("sockets", state.sockets, normal);
}
function showSettings(of, values, usual) {
  for (const node of document.querySelectorAll(`[data-of=${of}]`)) {
    const value = values[node.dataset.setting];
    node.closest("label").classList.toggle("off", value !== usual(node.dataset.setting));
    if (document.activeElement === node && node.type === "number") continue;
    if (node.type === "checkbox") node.checked = node.dataset.seconds ? Boolean(value) : value;
    else if (node.type === "number") { if (value) node.value = value; }
    else node.value = JSON.stringify(value);
    if (node.value === "" && node.tagName === "SELECT") { node.add(new Option(String(value), JSON.stringify(value))); node.value = JSON.stringify(value); }
  }
}
function buildSockets() {
  buildSwitches("switches", SWITCHES, sockets);
  for (const [name, text, usual] of SECONDS) {
    const label = make("label"), box = make("input"), number = make("input");
    box.type = "checkbox"; number.type = "number"; number.value = usual; number.min = 0.1; number.step = "any";
    box.dataset.setting = number.dataset.setting = name; box.dataset.seconds = "yes";
    box.dataset.of = number.dataset.of = "sockets";
    number.setAttribute("aria-label", `${text}: seconds`);
    box.onchange = () => sockets(name, box.checked ? Number(number.value) || usual : normal(name));
    number.onchange = () => { if (box.checked) box.onchange(); };
    label.append(box, text + " ", number, " s"); $("switches").append(label);
  }
  buildChoices("choices", CHOICES, sockets);
  $("ring-mode").replaceChildren(...Object.keys(RING_MODES).map((name) => new Option(name)));
}
function sockets(name, value) { act("sockets", { [name]: value }, "Set"); }
function buildSwitches(parent, switches, set) {
  for (const [name, text] of switches) {
    const label = make("label"), box = make("input");
    box.type = "checkbox"; box.dataset.setting = name; box.dataset.of = set.name; box.onchange = () => set(name, box.checked);
    label.append(box, text); $(parent).append(label);
  }
}
function buildChoices(parent, choices, set) {
  for (const [name, text, values] of choices) {
    const label = make("label"), select = make("select");
    select.dataset.setting = name; select.dataset.of = set.name;
    select.append(...values.map(([text, value]) => new Option(text, JSON.stringify(value))));
    select.onchange = () => set(name, JSON.parse(select.value));
    label.append(make("span", text), select); $(parent).append(label);
  }
}
