import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { chooseReplica } from '../../src/ha/choose-replica.ts';
import { LogSamples } from '../../src/ha/log-samples.ts';
import { formatReadToken, parseReadToken } from '../../src/ha/read-token.ts';

test('tokens, choices and samples', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(1e6), fc.bigInt(0n, 2n ** 64n - 1n))), (entries) => {
    const positions = new Map(entries.map(([node, lsn]) => [nodeId(node), lsn]));
    expect(parseReadToken(formatReadToken(positions))).toEqual(positions);
  }));
  for (const odd of ['', '2.1-1', '1.1-', '1.A-1', '1.1-1.', '1.1-zzzzzzzzzzzzzzz']) expect(() => parseReadToken(odd)).toThrow('no token');
  const states = [
    { server: 'far', lagMs: 10, lagBytes: 0, lsn: 9n, latencyMs: 30, load: 0 },
    { server: 'busy', lagMs: 10, lagBytes: 0, lsn: 9n, latencyMs: 10, load: 5 },
    { server: 'behind', lagMs: undefined, lagBytes: 500, lsn: 4n, latencyMs: 1, load: 0 },
  ];
  const limits = { maxLagMs: undefined, maxLagBytes: undefined, after: 0n };
  expect(chooseReplica(states, limits)).toBe('behind');
  expect(chooseReplica(states, { ...limits, maxLagMs: 100 })).toBe('far');
  expect(chooseReplica(states, { ...limits, maxLagBytes: 100 })).toBe('far');
  expect(chooseReplica(states, { ...limits, after: 5n })).toBe('far');
  expect(chooseReplica(states, { ...limits, after: 10n })).toBeUndefined();
  const samples = new LogSamples();
  expect(samples.ageMs(5n, 0)).toBeUndefined();
  for (const [atMs, lsn] of [[100, 5n], [200, 5n], [300, 8n]] as const) samples.add(atMs, lsn);
  expect([4n, 5n, 7n, 8n, 9n].map((lsn) => samples.ageMs(lsn, 400))).toEqual([undefined, 200, 200, 100, 100]);
  samples.add(500, 6n);
  expect(samples.ageMs(5n, 500)).toBeUndefined();
});
