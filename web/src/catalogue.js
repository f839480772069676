// The gift catalogue and coin packs: read once a page, shared by every screen.
import { api } from "./api.js";
import { session } from "./session.js";

const gifts = new Map();
let packs;

/**
 * The gifts on offer, with those of a market where one is named: gifts of one's own market only are for its people.
 * @returns {Promise<{ id: string, name: string, coins: number, emoji: string, tier: string }[]>} cheapest first
 */
export function readGifts(market = session.me?.market ?? "") {
  if (!gifts.has(market)) {
    const asked = read(`/gifts${market ? `?market=${market}` : ""}`, "coins").catch((error) => {
      gifts.delete(market); // the next to ask tries again
      throw error;
    });
    gifts.set(market, asked);
  }
  return gifts.get(market);
}

export function readPacks() {
  packs ??= read("/coin-packs", "coins").catch((error) => {
    packs = undefined;
    throw error;
  });
  return packs;
}

/** Every way to buy coins, and why one is not offered. Read each time: a deployment may have learnt a new one. */
export async function readProviders() {
  return (await api.get("/coin-packs")).providers ?? [];
}

async function read(path, order) {
  const { items } = await api.get(path);
  return [...items].sort((a, b) => a[order] - b[order]);
}

/** Gifts by id; empty where the catalogue cannot be read: gifts then show with a general picture. */
export const giftsById = () =>
  readGifts()
    .then((items) => new Map(items.map((gift) => [gift.id, gift])))
    .catch(() => new Map());
