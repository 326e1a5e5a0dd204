import { findCycles } from './find-cycles.ts';
import type { Anomaly, Entry, FinalLists, Operation } from './history.ts';

/** `a` came before `b`: it wrote what `b` overwrote (ww) or read (wr), or read what `b` overwrote (rw). */
export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly kind: 'ww' | 'wr' | 'rw';
}

/**
 * The anomalies of a history of appends and reads. Since lists only grow, each read tells in which order the appends before it came: so who depends on whom is known, not
 * guessed. A transaction of unknown outcome counts as committed when anything of it is there. What aborted transactions read is not looked at.
 * Source: Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations, VLDB 2020.
 */
export function checkHistory(history: readonly Entry[], lists: FinalLists): Anomaly[] {
  const writers = new Map(history.flatMap((entry) => entry.operations.flatMap((operation) => (operation.kind === 'append' ? [[operation.value, entry] as const] : []))));
  const there = new Set([...lists.values()].flat());
  const isCommitted = (entry: Entry): boolean => entry.outcome === 'committed' || (entry.outcome === 'unknown' && appends(entry).some(({ value }) => there.has(value)));
  const committed = history.filter(isCommitted);
  return [
    ...committed.flatMap((entry) => appends(entry).filter(({ value }) => !there.has(value)).map(({ value }): Anomaly => ({ kind: 'lost', about: `${value} of ${entry.id}` }))),
    ...[...lists].flatMap(([key, list]) => inFinalList(key, list, writers)),
    ...committed.flatMap((entry) => reads(entry).flatMap((read) => inRead(entry, read, { lists, writers }))),
    ...findCycles(edgesOf(committed, lists, writers)),
  ];
}

function appends({ operations }: Entry): Extract<Operation, { kind: 'append' }>[] {
  return operations.filter((operation) => operation.kind === 'append');
}

function reads({ operations }: Entry): Extract<Operation, { kind: 'read' }>[] {
  return operations.filter((operation) => operation.kind === 'read');
}

function inFinalList(key: string, list: readonly string[], writers: ReadonlyMap<string, Entry>): Anomaly[] {
  return list.flatMap((value, i): Anomaly[] => {
    if (list.indexOf(value) !== i) return [{ kind: 'twice', about: `${value} in ${key}` }];
    return writers.get(value)?.outcome === 'aborted' ? [{ kind: 'G1a', about: `${value} in ${key}, at the end` }] : [];
  });
}

function inRead(entry: Entry, { key, list }: Extract<Operation, { kind: 'read' }>, { lists, writers }: { readonly lists: FinalLists; readonly writers: ReadonlyMap<string, Entry> }): Anomaly[] {
  const final = lists.get(key) ?? [];
  if (list.some((value, i) => final[i] !== value)) {
    const aborted = list.some((value) => writers.get(value)?.outcome === 'aborted');
    return [{ kind: aborted ? 'G1a' : 'order', about: `${entry.id} read ${key} as ${list.join(' ')}` }];
  }
  const last = list.at(-1);
  const writer = last === undefined ? undefined : writers.get(last);
  const ofWriter = writer === undefined ? [] : appends(writer).filter((append) => append.key === key);
  return writer !== undefined && writer !== entry && ofWriter.at(-1)?.value !== last ? [{ kind: 'G1b', about: `${entry.id} read ${key} up to ${last}` }] : [];
}

function edgesOf(committed: readonly Entry[], lists: FinalLists, writers: ReadonlyMap<string, Entry>): Edge[] {
  const between = (kind: Edge['kind'], from: string | undefined, to: string | undefined): Edge[] => (from === undefined || to === undefined || from === to ? [] : [{ kind, from, to }]);
  const writerOf = (value: string | undefined): string | undefined => (value === undefined ? undefined : writers.get(value)?.id);
  return [
    ...[...lists.values()].flatMap((list) => list.flatMap((value, i) => between('ww', writerOf(list[i - 1]), writerOf(value)))),
    ...committed.flatMap((entry) => reads(entry).flatMap(({ key, list }) => [
      ...between('wr', writerOf(list.at(-1)), entry.id),
      ...between('rw', entry.id, writerOf(lists.get(key)?.[list.length])),
    ])),
  ];
}
