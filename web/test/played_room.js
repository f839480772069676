// A room's server that a test plays: sockets that keep what was sent, tickets, and node's mock clock.
import assert from "node:assert/strict";
import { beforeEach, mock } from "node:test";
import { Room } from "../src/room.js";

export const ME = { role: "viewer" };
export let sockets;
export let tickets;

export class FakeSocket {
  constructor(url) {
    this.url = url;
    this.readyState = 0;
    this.sent = [];
    sockets.push(this);
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  /** The network closes it. */
  drop() {
    this.readyState = 3;
    this.onclose?.();
  }

  tell(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  of(action) {
    return this.sent.filter((message) => message.action === action);
  }
}

export const api = {
  post: async (path) => {
    tickets += 1;
    assert.equal(path, "/streams/s1/ticket");
    if (api.refusal) throw api.refusal;
    return { socket_url: `ws://room?ticket=${tickets}`, role: "viewer" };
  },
  get: async () => assert.fail("nothing to page"),
};

/** Lets promises that are ready go on; the clock stands still. */
export const settle = async () => {
  for (let n = 0; n < 12; n += 1) await Promise.resolve();
};

export const joined = (more = {}) => ({
  type: "joined", epoch: "e", seq: 0, ping_s: 300, react_interval_ms: 1000, reconnect_spread_ms: 2000,
  reaction_kinds: ["❤️"], room: { viewers: 1, reactions: {} }, me: ME, frames: [], ...more,
});
export const frame = (seq, more = {}) => ({ type: "frame", epoch: "e", seq, viewers: 1, reactions: {}, events: [], ...more });
export const chat = (id, clientId) => ({ id, type: "chat", text: id, client_id: clientId, from: { id: "a", name: "A" } });

export async function open(random = () => 0.5) {
  const room = new Room({ api, streamId: "s1", WebSocket: FakeSocket, random });
  const lines = [];
  room.addEventListener("line", ({ detail }) => lines.push(detail.event.id));
  room.start();
  await settle();
  const socket = sockets.at(-1);
  socket.open();
  socket.tell(joined());
  await settle();
  return { room, socket, lines };
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  sockets = [];
  tickets = 0;
  api.refusal = undefined;
});
