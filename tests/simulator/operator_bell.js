// The bell and the sockets on the operator's page; uses the helpers of operator.html.
"use strict";
const CODES = { 2: "invalid token (2)", 3: "expired token (3)", 11: "too many at once (11)", 13: "forbidden (13)" };
const MANNERS = {
  "as this model does": {}, "set-up and status": { offer: true, status: true },
  "status before set-up": { offer: true, status: true, status_first: true },
  "set-up only": { offer: true, status: false }, "status only": { offer: false, status: true },
  "no push at all": { offer: false, status: false },
};
const SWITCHES = [
  ["drop_clients_that_ping", "Drop clients that ping"],
  ["half_open", "Half open: nothing passes, nothing closes"],
  ["silent", "Do not answer subscriptions"],
  ["pushes_stop_with_token", "Pushes stop when the token is over"],
];
const SECONDS = [
  ["server_ping_every", "Ping every line, each", 20],
  ["drop_clients_that_do_not_ping_within", "Drop clients that do not ping within", 60],
  ["handshake_delay", "Let handshakes take", 5],
];
const refusals = [["are accepted", null], ...Object.entries(CODES).map(([code, name]) => [`are refused: ${name}`, Number(code)])];
const CHOICES = [
  ["accept_then_close", "Lines", [["stay open", null], ["end after the handshake", "handshake"], ["end once subscribed", "subscribed"]]],
  ["refuse_subscriptions", "Subscriptions", refusals],
  ["refuse_first", "How many are refused", [["all", null], ["the next one", 1], ["the next 3", 3], ["no more", 0]]],
  ["refuse_resubscriptions", "Renewed subscriptions", refusals],
  ["handshake_status", "Handshakes", [["succeed", null], ["answer 401", 401], ["answer 429", 429], ["answer 500", 500], ["answer 503", 503]]],
  ["handshake_retry_after", "Retry-After", [["is not sent", null], ["says 5 s", 5], ["says 30 s", 30], ["says 300 s", 300]]],
  ["close_code", "The cloud ends lines", [["without a word", null], ["with 1000, normal", 1000], ["with 1001, going away", 1001], ["with 1008, policy", 1008], ["with 1011, error", 1011], ["with 1012, restart", 1012]]],
];
const NORMAL = { pushes_stop_with_token: true, handshake_delay: 0 };
const normal = (name) => NORMAL[name] ?? ([...SWITCHES].some(([each]) => each === name) ? false : null);

function ring(panel) {
  const given = { panel, ...MANNERS[$("manner").value], pictures: $("pictures").checked, receivers: Number($("receivers").value) || 1 };
  const late = Number($("late").value);
  act("ring", late ? { ...given, late } : given, "Somebody rings");
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
  what.append(make("strong", call.name), call.answered ? " talks to somebody, since " : " rings, since ", clock(call.at));
  const session = call.session_id;
  if (!call.answered) row.append(
    button("Answer elsewhere", "answer_elsewhere", { session }, "Somebody else answered", "main"),
    button("Missed", "miss", { session }, "Nobody answered"));
  row.append(button("Hang up", "hang_up", { session }, "The call is over"),
    button("End it without a word", "end_silently", { session }, "Over, and nobody was told", "quiet"));
  node.append(what, row);
  return node;
}
function showConnections() {
  const rows = state.connections.map((connection) => {
    const node = make("li", undefined, "line"), [said, kind] = connectionState(connection);
    const counts = `since ${clock(connection.opened_at)} · subscribed ${connection.subscriptions} × · ${connection.pings} pings · ${connection.frames_sent} frames sent`;
    node.append(make("strong", `${connection.path === "/ws/" ? "Push" : "Calls"} ${connection.number}`), make("span", said, "pill " + kind), make("span", counts, "small soft"));
    return node;
  });
  if (!rows.length) rows.push(make("li", "Nobody is connected.", "small soft"));
  $("connections").replaceChildren(...rows);
}
function connectionState(connection) {
  if (connection.half_open) return ["half open", "bad"];
  if (!connection.subscribed) return ["not subscribed", "warn"];
  return connection.path === "/ws/" && !connection.hears ? ["its token is over: hears nothing", "bad"] : ["listens", "good"];
}
function showSockets() {
  const off = Object.entries(state.sockets).filter(([name, value]) => value !== normal(name)).length;
  $("troubles").textContent = off ? `${off} ${off === 1 ? "setting is" : "settings are"} not normal` : "they behave";
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
  $("manner").replaceChildren(...Object.keys(MANNERS).map((name) => new Option(name)));
}
function sockets(name, value) { act("sockets", { [name]: value }, "Set"); }
function buildSwitches(place, switches, set) {
  for (const [name, text] of switches) {
    const label = make("label"), box = make("input");
    box.type = "checkbox"; box.dataset.setting = name; box.dataset.of = set.name; box.onchange = () => set(name, box.checked);
    label.append(box, text); $(place).append(label);
  }
}
function buildChoices(place, choices, set) {
  for (const [name, text, values] of choices) {
    const label = make("label"), select = make("select");
    select.dataset.setting = name; select.dataset.of = set.name;
    select.append(...values.map(([said, value]) => new Option(said, JSON.stringify(value))));
    select.onchange = () => set(name, JSON.parse(select.value));
    label.append(make("span", text), select); $(place).append(label);
  }
}
