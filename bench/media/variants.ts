import { fileURLToPath } from 'node:url';
import type { Variant } from './trial.ts';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const ours = (mode: string, answers: Variant['answers']): Variant => ({
  name: mode,
  command: [process.execPath, here('uws_server.ts'), mode],
  kind: 'node',
  answers,
});
const ws = (name: string, mode: string): Variant => ({
  name,
  command: [process.execPath, here('ws_server.ts'), mode],
  kind: 'node',
  answers: 'echo',
});

/** What is compared, by the name it has in the output. */
export const VARIANTS = {
  raw: ours('raw', 'echo'),
  json: ours('json', 'echo'),
  codec: ours('codec', 'paced'),
  full: ours('full', 'paced'),
  fullSingleWrites: ours('fullSingleWrites', 'paced'),
  wsJson: ws('wsJson', 'json'),
  acsSdk: ws('acsSdk', 'acsSdk'),
} as const;

export const fastapi = (python: string): Variant => ({
  name: 'fastapi',
  command: [python, here('fastapi_server.py')],
  kind: 'process',
  answers: 'echo',
});

export const DESCRIPTIONS: Readonly<Record<string, string>> = {
  raw: 'uWebSockets.js, echoes the bytes',
  json: 'uWebSockets.js, JSON.parse and JSON.stringify',
  codec: 'rtvoice: decoder and paced playback',
  full: 'rtvoice: the same with voice activity and turns, 40 % speech',
  fullSingleWrites: 'rtvoice: full, each frame in a write of its own',
  wsJson: 'ws, JSON.parse and JSON.stringify',
  acsSdk: 'ws, parser and writer of the ACS SDK',
  fastapi: 'FastAPI, uvicorn, uvloop, httptools, websockets',
};
