import { availableParallelism } from 'node:os';
import { type Capacity, type Comparison, callsPerCore, compare, median, peerLoad } from './media/measure.ts';
import { type MediaResult, toJson, toTable } from './media/report.ts';
import { findFastApi, pinning, prepareGenerator } from './media/toolchain.ts';
import type { Bench, Variant } from './media/trial.ts';
import { fastapi, VARIANTS } from './media/variants.ts';

const CALLS = 1_000;
const ROUNDS = 5;
const PEER_ROUNDS = 3;
/** The whole run stays under nine minutes: what is left after the comparisons is shared by the searches. */
const BUDGET_MS = 510_000;
const LEAST_SEARCH_MS = 20_000;

/**
 * Measures what a media frame costs on the product's own path, relative to a raw echo and to what else one would build it with, and how
 * many calls one core holds. Only the ratios mean anything on another machine.
 */
export async function runMedia(options: { json: boolean }): Promise<void> {
  const startMs = performance.now();
  const bench: Bench = {
    generator: await prepareGenerator(),
    pin: await pinning(),
    warmSeconds: 1.5,
    measureSeconds: 2.5,
  };
  const python = await findFastApi();
  const peer = python === undefined ? undefined : fastapi(python);
  const { raw, json, codec, full, fullSingleWrites, wsJson, acsSdk } = VARIANTS;

  const atLoad = await compare(bench, [raw, codec, full, fullSingleWrites, json], raw, CALLS, ROUNDS);
  const peers = new Map<string, Comparison | undefined>();
  for (const variant of [wsJson, acsSdk]) peers.set(variant.name, await comparePeer(bench, variant));
  peers.set('fastapi', peer && (await comparePeer(bench, peer)));

  const searches: [Variant, Comparison | undefined][] = [
    [full, atLoad],
    [wsJson, peers.get('wsJson')],
  ];
  if (peer) searches.push([peer, peers.get('fastapi')]);
  const capacities = new Map<string, Capacity | undefined>();
  for (const [i, [variant, known]] of searches.entries()) {
    const restMs = Math.max(LEAST_SEARCH_MS * (searches.length - i), startMs + BUDGET_MS - performance.now());
    capacities.set(
      variant.name,
      await callsPerCore(bench, variant, estimate(variant, known), restMs / (searches.length - i)),
    );
  }
  if (!peer) capacities.set('fastapi', undefined);
  process.stderr.write('\n');

  const result: MediaResult = { atLoad, peers, capacities, notes: notes(python) };
  process.stdout.write(options.json ? `${JSON.stringify(toJson(result))}\n` : toTable(result));
}

async function comparePeer(bench: Bench, peer: Variant): Promise<Comparison> {
  const calls = await peerLoad(bench, peer);
  return compare(bench, [VARIANTS.full, peer], VARIANTS.full, calls, PEER_ROUNDS);
}

/** A first load to try: somewhat under what the CPU per frame seen so far would fill. */
function estimate(variant: Variant, known: Comparison | undefined): number {
  const usPerFrame = median((known?.trials.get(variant.name) ?? []).map((trial) => trial.usPerFrame));
  return Number.isFinite(usPerFrame) && usPerFrame > 0 ? (0.8 * 1e6) / (usPerFrame * 50) : 100;
}

function notes(python: string | undefined): string[] {
  const found: string[] = [];
  if (python === undefined) {
    found.push(
      'fastapi is missing and its ratios are null: apt-get install python3-fastapi uvicorn python3-uvloop python3-httptools python3-websockets',
    );
  }
  if (availableParallelism() < 2)
    found.push('one core only: server and generator disturb each other, so that the figures say little');
  return found;
}
