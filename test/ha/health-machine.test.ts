import { expect, test } from 'vitest';
import { type Claim, choosePrimary, withoutAliases } from '../../src/ha/choose-primary.ts';
import { brokenBy, type HealthEvent, neverAsked, nextHealth, probeDelayMs, type ServerState } from '../../src/ha/health-machine.ts';

const times = { intervalMs: 1_000, backOffMaxMs: 2_000 };

function statesAfter(...events: HealthEvent[]): ServerState[] {
  let health = neverAsked;
  return events.map((event, i) => (health = nextHealth(health, event, i)).state);
}

test('a primary that goes away is suspect first, then down, and asked ever more rarely until it is back', () => {
  expect(statesAfter('is_primary', 'trouble', 'no_answer', 'no_answer', 'is_replica')).toEqual(['primary', 'suspect', 'down', 'down', 'replica']);
  expect(statesAfter('is_primary', 'no_answer', 'is_primary')).toEqual(['primary', 'suspect', 'primary']);
  let health = nextHealth(nextHealth(neverAsked, 'no_answer', 0), 'no_answer', 1);
  expect(health).toMatchObject({ state: 'down', failures: 2, sinceMs: 0 });
  const delays = Array.from({ length: 8 }, (_, i) => probeDelayMs((health = nextHealth(health, 'no_answer', i)), times));
  expect(delays).toEqual([200, 400, 800, 1_600, 2_000, 2_000, 2_000, 2_000]);
  // Trouble is no news of a server that is down.
  expect(nextHealth(health, 'trouble', 9)).toBe(health);
  expect(probeDelayMs(nextHealth(health, 'is_primary', 9), times)).toBe(1_000);
});

test('connections are broken where they would lead to a server that takes no writes any more', () => {
  expect(brokenBy('suspect', 'replica')).toBe('writing');
  expect(brokenBy('primary', 'outdated')).toBe('all');
  expect(brokenBy('suspect', 'down')).toBe('all');
  expect(brokenBy('suspect', 'primary')).toBe('none');
  expect(brokenBy('down', 'down')).toBe('none');
});

function claim(server: string, timeline: number, instance = server): Claim<string> {
  return { server, timeline, instance };
}

test('the primary is the only one on the newest timeline', () => {
  const known = { current: undefined, timelineMax: 0, allHeard: true };
  expect(choosePrimary([claim('a', 1), claim('b', 2)], known)).toBe('b');
  expect(choosePrimary([claim('a', 1)], { ...known, allHeard: false })).toBeUndefined();
  // What was promoted is newer than all before.
  expect(choosePrimary([claim('b', 2)], { current: 'a', timelineMax: 1, allHeard: false })).toBe('b');
  expect(choosePrimary([claim('b', 2), claim('a', 1)], { current: 'a', timelineMax: 1, allHeard: false })).toBe('b');
  // The old one comes back before anybody else answers.
  expect(choosePrimary([claim('a', 1)], { ...known, timelineMax: 2 })).toBeUndefined();
  expect(choosePrimary([claim('a', 2)], { ...known, timelineMax: 2, allHeard: false })).toBeUndefined();
  // Copies of each other.
  expect(choosePrimary([claim('a', 1), claim('b', 1)], known)).toBeUndefined();
  expect(choosePrimary([claim('a', 1), claim('b', 1)], { ...known, current: 'b' })).toBe('b');
  expect(choosePrimary([], known)).toBeUndefined();
});

test('names of one server claim once: by that of the primary so far, else by the first', () => {
  const claims = [claim('a', 1, 'one'), claim('b', 1, 'one'), claim('c', 1, 'other')];
  const namesOf = (current: string | undefined): string[] => withoutAliases(claims, current).map(({ server }) => server);
  expect(namesOf(undefined)).toEqual(['a', 'c']);
  expect(namesOf('b')).toEqual(['b', 'c']);
  expect(namesOf('elsewhere')).toEqual(['a', 'c']);
  expect(statesAfter('is_primary', 'is_alias', 'trouble', 'is_alias', 'no_answer', 'no_answer')).toEqual(['primary', 'alias', 'suspect', 'alias', 'suspect', 'down']);
});
