// Sessions of clients on the operator page; uses the helpers of operator.html and operator_calls.js.
"use strict";
const FROM_CLOUD = new Set(["PUSH", "DEVICE"]);
const RTC_SWITCHES = [
  ["silent_acks", "Acknowledge nothing"], ["silent_answers", "Answer no offer"], ["answer_twice", "Answer twice"],
  ["candidates_before_answer", "Send candidates before the answer"], ["foreign_frames", "Send frames of other sessions"],
  ["broadcast_frames", "Send every frame to all connections"], ["rescind_own", "Push rescind to the answering client too"],
  ["busy_while_ringing", "Busy while it rings without an offer"],
  ["trickle", "Send candidates as separate frames"],
  ["relayed_candidate", "Send a relayed candidate last"],
];
const delays = [["at once", 0], ["after 1 s", 1], ["after 5 s", 5], ["after 15 s", 15], ["after 40 s", 40]];
const spans = [["5 s", 5], ["15 s", 15], ["30 s", 30], ["1 min", 60], ["3 min", 180], ["1 h", 3600]];
const RTC_CHOICES = [
  ["peer", "Peer", [["scripted: fixed SDP", "scripted"], ["real: video and audio", "real"]]],
  ["audio_requires", "It sends audio", [["once it receives audio", "rtp"], ["if the client's SDP sends audio", "sendrecv"], ["always", "nothing"]]],
  ["refuse_offers", "Offers", [["are accepted", null], ["are refused: unreachable (41)", 41], ["are refused: concurrent requests (11)", 11], ["are refused: unknown device (9)", 9], ["are refused: usage limit (26)", 26]]],
  ["ack_delay", "Frames are acknowledged", delays], ["answer_delay", "Offers are answered", delays],
  ["ack_echo", "Correlation id of acknowledgements", [["the frame's", "echo"], ["null", "null"], ["absent", "absent"]]],
  ["slots", "Peer slots", [["none", 0], ["one", 1], ["two", 2], ["four", 4]]],
  ["slot_release_delay", "A slot is released", delays],
  ["view_seconds", "Time limit of a view", spans], ["call_seconds", "Time limit of an answered ring", spans],
  ["big_offer_bytes", "It reboots on offers above", [["4096 bytes", 4096], ["8192 bytes", 8192], ["a megabyte", 1048576]]],
  ["reboot_delay", "It goes offline", [["at once", 0], ["after 3 s", 3]]], ["reboot_seconds", "It comes back after", spans],
];

function rtc(name, value) { act("rtc", { [name]: value }, "Set"); }
function buildRtc() {
  const head = make("div", undefined, "row spread"), title = make("h2", "Sessions "), troubles = make("span", "", "pill");
  const list = make("ul", undefined, "plain"), how = make("details", undefined, "how small"), normal = make("button", "Restore defaults");
  troubles.id = "rtc-troubles"; list.id = "rtc-calls"; title.append(troubles);
  normal.onclick = () => act("reset_rtc", {}, "Defaults restored");
  head.append(title, normal);
  how.append(make("summary", "Signaling settings", "soft"));
  for (const id of ["rtc-choices", "rtc-switches"]) { const box = make("div", undefined, "settings small"); box.id = id; how.append(box); }
  const counts = make("p", "", "small soft"); counts.id = "rtc-counts";
  $("rtc").append(head, counts, list, how);
  buildChoices("rtc-choices", RTC_CHOICES, rtc);
  buildSwitches("rtc-switches", RTC_SWITCHES, rtc);
}
function showRtc() {
  const { settings, defaults, sessions, offers, answers, terminates, held_slots, peak } = state.rtc;
  const off = Object.keys(defaults).filter((name) => settings[name] !== defaults[name]).length;
  $("rtc-troubles").textContent = off ? `${off} ${off === 1 ? "setting" : "settings"} changed` : "defaults";
  $("rtc-troubles").className = "pill " + (off ? "warn" : "good");
  $("rtc-counts").textContent = `${offers} offers, ${answers} answers, ${terminates} terminates from clients; ${held_slots} ${held_slots === 1 ? "slot" : "slots"} held, at most ${peak}.`;
  showSettings("rtc", settings, (name) => defaults[name] ?? settings[name] ?? null);
  $("rtc-calls").replaceChildren(...sessions.toReversed().map(sessionRow));
  if (!sessions.length) $("rtc-calls").append(make("li", "No sessions.", "small soft"));
}
function sessionRow(session) {
  const node = make("li", undefined, "line"), going = session.state !== "ended";
  const names = Object.fromEntries(state.homes.flatMap((home) => home.modules).map((module) => [module.id, module.name ?? module.id]));
  node.append(make("strong", names[session.panel_id] ?? names[session.device_id] ?? session.device_id), make("span", ...sessionState(session)),
    make("span", `since ${clock(session.started_at)} · offer of ${session.sdp_size} bytes · ${session.candidates} candidates · ${audioText(session.audio)}`, "small soft"));
  if (going) {
    const given = { session: session.id };
    node.append(button("Terminate", "end_view", { ...given }, "Terminated", "quiet"),
      button("Terminate with an error", "device_error", { ...given, code: 1 }, "Terminated with an error", "quiet"),
      button("Rescind", "rescind", { ...given }, "Rescinded", "quiet"));
  }
  return node;
}
function sessionState(session) {
  const what = session.from_ring ? "answered ring" : "view";
  if (session.state === "answered") return [what, "pill good"];
  if (session.state === "pending") return ["waiting for the answer", "pill warn"];
  const who = { client: "the client", device: "the intercom", limit: "the time limit", power: "power loss", operator: "the operator" };
  return [`ended by ${who[session.ended_by]}` + (session.error === null ? "" : ` (${session.error})`), "pill " + (session.error === null ? "soft" : "warn")];
}
function audioText(audio) {
  if (!audio.packets) return "receives no audio";
  const tone = audio.hertz ? `, ${Math.round(audio.hertz)} Hz` : "";
  return `received ${audio.seconds.toFixed(1)} s of audio, level ${Math.round(audio.level * 100)} %${tone}`;
}
