import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { isBehind } from '../../src/cluster/log-position.ts';
import { chooseReplica, type ReplicaState } from '../../src/ha/choose-replica.ts';
import { LogSamples } from '../../src/ha/log-samples.ts';
import { ReadTokens } from '../../src/ha/read-token.ts';

const someToken = fc.tuple(fc.nat(1e6), fc.array(fc.tuple(fc.nat(1e6), fc.nat(2 ** 31 - 1), fc.bigInt(0n, 2n ** 64n - 1n)), { maxLength: 9 })).map(([catalogVersion, entries]) => ({
  catalogVersion, positions: new Map(entries.map(([node, timeline, lsn]) => [nodeId(node), { timeline, lsn }])),
}));

test('a token is read as it was written, signed or not, and fits a cookie', () => {
  for (const tokens of [new ReadTokens(), new ReadTokens('a secret')]) {
    fc.assert(fc.property(someToken, (token) => {
      const text = tokens.format(token);
      expect(text).toMatch(/^[\w-]+$/);
      expect(tokens.parse(text)).toEqual(token);
    }));
  }
  const many = new Map(Array.from({ length: 64 }, (_, node) => [nodeId(node), { timeline: 3, lsn: 0x16_0000_0000n + BigInt(node) }]));
  expect(new ReadTokens('a secret').format({ positions: many, catalogVersion: 1_000 }).length).toBeLessThan(800);
});

test('what was changed, cut, or signed by others is refused', () => {
  const signed = new ReadTokens('a secret');
  fc.assert(fc.property(someToken, fc.nat(), fc.integer({ min: 1, max: 255 }), (token, where, change) => {
    const bytes = Buffer.from(signed.format(token), 'base64url');
    bytes.writeUInt8(bytes.readUInt8(where % bytes.length) ^ change, where % bytes.length);
    expect(() => signed.parse(bytes.toString('base64url'))).toThrow('no read token');
    expect(() => signed.parse(new ReadTokens().format(token))).toThrow('no read token');
    expect(() => new ReadTokens().parse(signed.format(token))).toThrow('no read token');
    expect(() => signed.parse(new ReadTokens('another').format(token))).toThrow('no read token');
  }));
  const plain = new ReadTokens();
  const whole = plain.format({ catalogVersion: 300, positions: new Map([[nodeId(1), { timeline: 1, lsn: 500n }]]) });
  for (const odd of ['', 'x', '1.1-1', `${whole}A`, `${whole}=`, whole.slice(0, -1), Buffer.from([2, 1, 1]).toString('base64url'), Buffer.from([2, ...Array<number>(11).fill(255), 1]).toString('base64url')]) {
    expect(() => plain.parse(odd), odd).toThrow('no read token');
  }
});

test('a replica is behind by its place on its timeline, and on an older one whatever the place', () => {
  const wanted = { timeline: 2, lsn: 100n };
  expect(isBehind({ timeline: 2, lsn: 99n }, wanted)).toBe(true);
  expect(isBehind({ timeline: 2, lsn: 100n }, wanted)).toBe(false);
  expect(isBehind({ timeline: 1, lsn: 500n }, wanted)).toBe(true);
  expect(isBehind({ timeline: 3, lsn: 100n }, wanted)).toBe(false);
});

test('choices', () => {
  const on = (lsn: bigint): ReplicaState<string>['applied'] => ({ timeline: 1, lsn });
  const states = [
    { server: 'far', lagMs: 10, lagBytes: 0, applied: on(9n), latencyMs: 30, load: 0 },
    { server: 'busy', lagMs: 10, lagBytes: 0, applied: on(9n), latencyMs: 10, load: 5 },
    { server: 'behind', lagMs: undefined, lagBytes: 500, applied: on(4n), latencyMs: 1, load: 0 },
  ];
  const limits = { maxLagMs: undefined, maxLagBytes: undefined, after: undefined };
  /** Which are taken of all pairs that can be drawn, how often. */
  const taken = (of: Partial<typeof limits> & object): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < 36; i += 1) {
      const drawn = [(i % 6) / 6, Math.floor(i / 6) / 6];
      const server = chooseReplica(states, { ...limits, ...of }, () => drawn.shift() ?? 0) ?? 'none';
      counts[server] = (counts[server] ?? 0) + 1;
    }
    return counts;
  };
  expect(taken({})).toEqual({ behind: 20, far: 12, busy: 4 });
  const after = (lsn: bigint, timeline = 1): object => ({ after: { timeline, lsn } });
  for (const of of [{ maxLagMs: 100 }, { maxLagBytes: 100 }, after(5n)]) expect(taken(of)).toEqual({ far: 27, busy: 9 });
  for (const of of [after(10n), after(1n, 2), { maxLagMs: 5 }]) expect(taken(of)).toEqual({ none: 36 });
});

test('samples', () => {
  const samples = new LogSamples();
  expect(samples.ageMs(5n, 0)).toBeUndefined();
  for (const [atMs, lsn] of [[100, 5n], [200, 5n], [300, 8n]] as const) samples.add(atMs, lsn);
  expect([4n, 5n, 7n, 8n, 9n].map((lsn) => samples.ageMs(lsn, 400))).toEqual([undefined, 200, 200, 100, 100]);
  samples.add(500, 6n);
  expect(samples.ageMs(5n, 500)).toBeUndefined();
});
