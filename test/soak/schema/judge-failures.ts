import type { SchemaEvent } from './schema-event.ts';

type Failure = Extract<SchemaEvent, { readonly kind: 'failed' }>;

/** Deeds that are blocks, or use a session: what a block meets ends it. */
const inBlocks = new Set(['block', 'rolledBack', 'cursor', 'repeatable']);

/** What no change of definitions excuses, by kind, with how often it was met; and what the application itself objected to. */
export function judgeFailures(events: readonly SchemaEvent[], serversWereKilled: boolean): string[] {
  const said = events.flatMap((event) => (event.kind === 'objection' ? [event.about] : []));
  const failures = events.filter((event) => event.kind === 'failed').filter((failure) => !isExcused(failure, serversWereKilled));
  const kinds = new Map<string, Failure[]>();
  for (const failure of failures) {
    const kind = `${failure.deed}: ${failure.code} ${failure.id} ${failure.message.replaceAll(/\d+/g, 'N')}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), failure]);
  }
  return [...said, ...[...kinds].map(([kind, those]) => `${those.length} times ${kind} (of ${those[0]?.table}: ${those[0]?.message}; ${those[0]?.where})`)];
}

function isExcused({ deed, table, code, id, message }: Failure, serversWereKilled: boolean): boolean {
  if (/_1\d{5}\b|shardwright/.test(message) && id !== 'shardMissing') return false;
  if (['40001', '40P01', '55P03'].includes(code)) return true;
  if (serversWereKilled && /^(08|57P)/.test(code)) return true;
  if (code === '42P01') return id === 'shardMissing' ? inBlocks.has(deed) : true;
  // Of changes of tables with rows that they do not allow: `second` may have come to refer to `first`, and a view to have no rights under row security.
  if ((code === '23503' && table === 'second') || (code === '0A000' && deed === 'view')) return true;
  return code === '0A000' && message === 'cached plan must not change result type';
}
