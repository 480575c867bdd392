import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contenders, type ReplicasWrite, replicasFinding, withWrite } from './writers.ts';

const history = (...writes: [atSeconds: number, replicas: number, manager: string][]) =>
  writes.reduce<readonly ReplicasWrite[]>(
    (known, [at, replicas, manager]) => withWrite(known, { atMs: at * 1000, replicas, manager }),
    [],
  );

describe('who writes the number of workers', () => {
  it('is a fight when two parties change it back and forth', () => {
    const fight = history([0, 3, 'hpa'], [15, 5, 'argocd'], [30, 3, 'hpa'], [45, 5, 'argocd']);
    assert.deepEqual(contenders(fight, 50_000), ['argocd', 'hpa']);
    assert.deepEqual(contenders(fight, 1_000_000), [], 'it is over');
  });

  it('is none when one party changes it often, or two once each, or nothing changes', () => {
    assert.deepEqual(contenders(history([0, 3, 'hpa'], [15, 4, 'hpa'], [30, 5, 'hpa'], [45, 6, 'hpa']), 50_000), []);
    assert.deepEqual(contenders(history([0, 3, 'hpa'], [15, 5, 'kubectl']), 50_000), []);
    assert.equal(history([0, 3, 'hpa'], [15, 3, 'argocd'], [30, 3, 'hpa']).length, 1);
  });

  it('is a fight too when one party sets its number back at leisure, and the other finds a new one each time', () => {
    const slow = history([0, 3, 'argocd'], [15, 5, 'hpa'], [180, 3, 'argocd'], [195, 6, 'hpa'], [360, 3, 'argocd']);
    assert.deepEqual(contenders(slow, 360_000), ['argocd', 'hpa']);
    assert.deepEqual(contenders(slow, 500_000), ['argocd', 'hpa'], 'it does not come and go in between');
  });

  it('is none when several parties move the number on without going back', () => {
    const rising = history([0, 3, 'hpa'], [15, 4, 'kubectl'], [30, 5, 'hpa'], [45, 6, 'kubectl'], [60, 7, 'hpa']);
    assert.deepEqual(contenders(rising, 60_000), []);
    const secondThought = history([0, 3, 'hpa'], [15, 9, 'kubectl'], [30, 3, 'hpa']);
    assert.deepEqual(contenders(secondThought, 30_000), []);
    const alone = history([0, 3, 'hpa'], [15, 4, 'hpa'], [30, 3, 'hpa'], [45, 4, 'hpa'], [60, 3, 'hpa']);
    assert.deepEqual(contenders(alone, 60_000), [], 'one party that cannot make up its mind');
  });

  it('is told in a condition, as is a number that nobody heeds', () => {
    const told = (mode: 'Automatic' | 'External' | 'Fixed', replicas: number | undefined, writes = history()) => {
      const { status, reason, message } = replicasFinding({ mode, replicas, history: writes, nowMs: 50_000 });
      return [status, reason, message] as const;
    };
    const fight = history([0, 3, 'hpa'], [15, 5, 'argocd'], [30, 3, 'hpa'], [45, 5, 'argocd']);
    assert.deepEqual(told('External', 5, fight).slice(0, 2), ['True', 'SeveralWriters']);
    assert.match(told('External', 5, fight)[2], /argocd and hpa undo/);
    const [status, reason, message] = told('Fixed', 9, history([0, 9, 'kubectl']));
    assert.deepEqual([status, reason], ['True', 'IgnoredWhileFixed']);
    assert.match(message, /9 workers were asked for by kubectl/);
    for (const fine of [told('Fixed', undefined), told('Automatic', 9), told('External', 9)]) {
      assert.deepEqual(fine.slice(0, 2), ['False', 'OneWriter']);
    }
  });

  it('keeps a bounded history', () => {
    const many = Array.from({ length: 100 }, (_, at): [number, number, string] => [at, at, 'hpa']);
    assert.equal(history(...many).length, 16);
  });
});
