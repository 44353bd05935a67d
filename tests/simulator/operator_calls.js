// Calls between clients and the intercom on the operator's page; uses the helpers of operator.html and operator_bell.js.
"use strict";
const FROM_US = new Set(["PUSH", "DEVICE"]);
const RTC_SWITCHES = [
  ["silent_acks", "Acknowledge nothing"], ["silent_answers", "Answer no offer"], ["answer_twice", "Answer twice"],
  ["candidates_before_answer", "Send candidates before the answer"], ["foreign_frames", "Send frames of others' calls"],
  ["frames_to_all", "Send every frame to all lines"], ["rescind_own", "Tell who answered of their own answer (rescind)"],
  ["trickle", "Send candidates as frames of their own"],
];
const delays = [["at once", 0], ["after 1 s", 1], ["after 5 s", 5], ["after 15 s", 15], ["after 40 s", 40]];
const spans = [["5 s", 5], ["15 s", 15], ["30 s", 30], ["1 min", 60], ["3 min", 180], ["1 h", 3600]];
const RTC_CHOICES = [
  ["peer", "Who answers", [["only a text", "scripted"], ["picture and sound", "real"]]],
  ["sound_needs", "It sends sound", [["once sound arrives", "rtp"], ["if it was offered sound", "sendrecv"], ["always", "nothing"]]],
  ["refuse_offers", "Offers", [["are taken", null], ["are refused: unreachable (41)", 41], ["are refused: too many at once (11)", 11], ["are refused: unknown device (9)", 9], ["are refused: usage limit (26)", 26]]],
  ["ack_delay", "Frames are acknowledged", delays], ["answer_delay", "Offers are answered", delays],
  ["ack_echo", "Acknowledgements bear", [["the frame's number", "echo"], ["a null for the number", "null"], ["no number", "absent"]]],
  ["slots", "Calls at a time", [["none", 0], ["one", 1], ["two", 2], ["four", 4]]],
  ["slot_lingers", "A place is free again", delays],
  ["view_seconds", "A view lasts", spans], ["call_seconds", "An answered ring lasts", spans],
  ["big_offer_bytes", "It boots on offers above", [["4096 bytes", 4096], ["8192 bytes", 8192], ["a megabyte", 1048576]]],
  ["reboot_delay", "It goes offline", [["at once", 0], ["after 3 s", 3]]], ["reboot_seconds", "It comes back after", spans],
];

function rtc(name, value) { act("rtc", { [name]: value }, "Set"); }
function buildRtc() {
  const head = make("div", undefined, "row spread"), title = make("h2", "The calls "), troubles = make("span", "", "pill");
  const list = make("ul", undefined, "plain"), how = make("details", undefined, "how small"), normal = make("button", "All normal");
  troubles.id = "rtc-troubles"; list.id = "rtc-calls"; title.append(troubles);
  normal.onclick = () => act("reset_rtc", {}, "The intercom behaves");
  head.append(title, normal);
  how.append(make("summary", "How the intercom talks", "soft"));
  for (const id of ["rtc-choices", "rtc-switches"]) { const box = make("div", undefined, "settings small"); box.id = id; how.append(box); }
  const counts = make("p", "", "small soft"); counts.id = "rtc-counts";
  $("talks").append(head, counts, list, how);
  buildChoices("rtc-choices", RTC_CHOICES, rtc);
  buildSwitches("rtc-switches", RTC_SWITCHES, rtc);
}
function showRtc() {
  const { settings, usual, sessions, offers, answers, terminates, held_slots, peak } = state.rtc;
  const off = Object.keys(usual).filter((name) => settings[name] !== usual[name]).length;
  $("rtc-troubles").textContent = off ? `${off} ${off === 1 ? "setting is" : "settings are"} not normal` : "the intercom behaves";
  $("rtc-troubles").className = "pill " + (off ? "warn" : "good");
  $("rtc-counts").textContent = `Dialled ${offers} ×, answered ${answers} ×, ended by clients ${terminates} ×; ${held_slots} ${held_slots === 1 ? "place is" : "places are"} taken, never more than ${peak}.`;
  showSettings("rtc", settings, (name) => usual[name] ?? settings[name] ?? null);
  $("rtc-calls").replaceChildren(...sessions.toReversed().map(talk));
  if (!sessions.length) $("rtc-calls").append(make("li", "Nobody watches or talks.", "small soft"));
}
function talk(session) {
  const node = make("li", undefined, "line"), going = session.state !== "ended";
  const names = Object.fromEntries(state.homes.flatMap((home) => home.modules).map((module) => [module.id, module.name ?? module.id]));
  node.append(make("strong", names[session.panel_id] ?? names[session.device_id] ?? session.device_id), make("span", ...talkState(session)),
    make("span", `since ${clock(session.started_at)} · offer of ${session.sdp_size} bytes · ${session.candidates} candidates · ${audioText(session.audio)}`, "small soft"));
  if (going) {
    const given = { session: session.id };
    node.append(button("End it", "end_view", { ...given }, "The intercom ended it", "quiet"),
      button("End it with an error", "device_error", { ...given, code: 1 }, "Ended with an error", "quiet"),
      button("Say that somebody else answered", "rescind", { ...given }, "Said", "quiet"));
  }
  return node;
}
function talkState(session) {
  const what = session.rang ? "answers a ring" : "watches";
  if (session.state === "answered") return [what, "pill good"];
  if (session.state === "begun") return ["waits for the answer", "pill warn"];
  const who = { client: "the client", device: "the intercom", limit: "the time limit", power: "a power cut", operator: "the operator" };
  return [`ended by ${who[session.ended_by]}` + (session.error === null ? "" : ` (${session.error})`), "pill " + (session.error === null ? "soft" : "warn")];
}
function audioText(audio) {
  if (!audio.packets) return "hears nothing";
  const tone = audio.hertz ? `, ${Math.round(audio.hertz)} Hz` : "";
  return `hears ${audio.seconds.toFixed(1)} s of sound, level ${Math.round(audio.level * 100)} %${tone}`;
}
