import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { Media, open, post } from './support/client.ts';
import { EDGE_HOST, type Edge } from './support/edge.ts';
import { Renewal } from './support/renewal.ts';
import { eventsPath, mediaPath, ringPath, type World, withWorld } from './support/world.ts';

async function withCall(body: (world: World, media: Media) => Promise<void>): Promise<void> {
  await withWorld({}, async (world) => {
    const { addresses } = await world.workers(['desk-aaaaa']);
    await world.service(addresses);
    const media = await Media.dial(world.edge, mediaPath('desk-aaaaa'));
    await body(world, media);
  });
}

/** Serial number of the certificate that a new caller sees. */
async function shown(edge: Edge): Promise<string> {
  const socket = await open(edge);
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

describe('an edge that stops', { timeout: 120_000 }, () => {
  it('takes nothing new, keeps its call, and ends by itself with the last one', () =>
    withCall(async ({ edge }, media) => {
      edge.signal('SIGUSR1');
      const refused = async () => (await open(edge).catch(() => undefined)) === undefined;
      const deadline = performance.now() + 10_000;
      while (!(await refused())) assert.ok(performance.now() < deadline, 'it still takes connections');
      // Nor is it ready any more.
      await assert.rejects(fetch(`http://127.0.0.1:${edge.insidePort}/readyz`));
      const started = performance.now();
      while (performance.now() - started < 3_000) assert.match(await media.say('still here'), /still here/);
      assert.ok(edge.running);
      await media.close();
      assert.equal(await edge.ended(), 0);
    }));

  it('still finds another worker for a ring that has met a frozen one, and answers a callback that has', () =>
    withWorld({}, async (world) => {
      const { edge } = world;
      const frozen = await world.workers(['desk-aaaaa']);
      const { addresses } = await world.workers(['desk-bbbbb']);
      const service = await world.service(frozen.addresses);
      frozen.freeze();
      const answers = Promise.all([post(edge, ringPath()), post(edge, eventsPath('desk-aaaaa'))]);
      const waiting = () =>
        edge.admin('show sess').then((text) => text.includes('be=owner') && text.includes('be=pool'));
      while (!(await waiting())) await new Promise(setImmediate);
      service.endpoints = addresses;
      edge.signal('SIGUSR1');
      const [ring, callback] = await answers;
      assert.equal(ring.seen?.address, addresses[0]);
      // Its second way leads through a listener, and those are closed: the caller has to come again, to another edge.
      assert.equal(callback.status, 503);
      assert.equal(await edge.ended(), 0);
    }));
});

describe('a certificate of the edge', { timeout: 120_000 }, () => {
  it('is replaced by two commands: new callers see it, the call goes on', () =>
    withCall(async ({ edge }, media) => {
      const before = await shown(edge);
      const { cert, key } = await edge.authority.server([EDGE_HOST, 'renewed.test']);
      const set = await edge.admin(`set ssl cert ${edge.certificateFile} <<\n${cert.trim()}\n${key.trim()}\n`);
      assert.match(set, /transaction created/i);
      assert.match(await edge.admin(`commit ssl cert ${edge.certificateFile}`), /success/i);
      assert.notEqual(await shown(edge), before);
      assert.match(await media.say('still here'), /still here/);
      await media.close();
    }));

  it('is given to the proxy whenever it changes on disk, with a chain that has empty lines, and never by half', () =>
    withCall(async ({ edge }, media) => {
      const first = await shown(edge);
      // It changed while nobody looked.
      await edge.writeCertificate([EDGE_HOST, 'second.test']);
      const renewal = new Renewal(edge);
      try {
        await renewal.says(/has the certificate/);
        const second = await shown(edge);
        assert.notEqual(second, first);

        const { cert, key } = await edge.authority.server([EDGE_HOST, 'third.test']);
        await writeFile(edge.certificateFile, `\n${cert}\n\n${await readFile(edge.authority.caFile, 'utf8')}\n`);
        await renewal.says(/refused/);
        assert.equal(await shown(edge), second);
        await writeFile(`${edge.certificateFile}.key`, key);
        await renewal.says(/has the certificate/);
        const third = await shown(edge);
        assert.notEqual(third, second);

        await writeFile(edge.certificateFile, 'no certificate');
        await renewal.says(/refused/);
        assert.equal(await shown(edge), third);

        assert.match(await media.say('still here'), /still here/);
        assert.equal((await post(edge, ringPath())).status, 200);
        assert.equal(await renewal.stop(), 0);
      } finally {
        await renewal[Symbol.asyncDispose]();
      }
      await media.close();
    }));
});
