import { homedir } from 'node:os';
import { join } from 'node:path';
import { VERSIONS } from './versions.ts';

/** The documented cache outside the checkout; RTVOICE_CACHE_DIR puts it elsewhere. */
export const CACHE = process.env.RTVOICE_CACHE_DIR ?? join(homedir(), '.cache', 'rtvoice');
const { kubernetes, etcd, coredns, kwok } = VERSIONS;
export const BINARIES = join(CACHE, 'cluster', `${kubernetes}-etcd${etcd}-coredns${coredns}-kwok${kwok}`, 'bin');
/** Go's own caches while it builds: 8 GB, given back afterwards. */
export const GO_CACHE = join(CACHE, 'cluster', 'go');
export const IMAGES = join(CACHE, 'images');

export const binary = (name: string): string => join(BINARIES, name);
