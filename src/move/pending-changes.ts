import { assert, present } from '../base/assert.ts';
import type { AppliedTable } from './apply/apply-net-changes.ts';
import { KeyedChanges } from './apply/keyed-changes.ts';
import type { NetChanges, RowChanges } from './apply/row-changes.ts';
import { WholeRowChanges } from './apply/whole-row-changes.ts';
import type { ChangeMessage, RelationMessage, StreamMessage } from '../replication/pgoutput/message.ts';
import { routeChange } from './row-route.ts';
import { appliedTable, type StreamedTable } from './streamed-tables.ts';

/** What is to be applied in one go. */
export interface ChangeBatch {
  readonly tables: readonly { readonly table: AppliedTable; readonly net: NetChanges }[];
  /** Where the last whole transaction ends; undefined when there is none. */
  readonly end: bigint | undefined;
  /** The last transaction goes on in the next batch, and must not be committed before. */
  readonly isCutShort: boolean;
  /** Messages of pg_logical_emit_message in whole transactions. */
  readonly markers: readonly { readonly prefix: string; readonly content: string }[];
}

interface Relation {
  readonly source: StreamedTable;
  readonly table: Omit<AppliedTable, 'sql'>;
  /** Position of the distribution column in the stream's rows. */
  readonly column: number;
  /** By the place of the target. */
  readonly changes: (RowChanges | undefined)[];
}

/** Changes that have come for one node and are not applied yet. Those of a transaction count when it has come to its end. */
export class PendingChanges {
  /** Of the messages, about. */
  bytes = 0;
  #comingBytes = 0;
  readonly #relations = new Map<number, Relation>();
  /** Of the transaction that is coming. */
  #coming: ChangeMessage[] = [];
  #comingMarkers: { readonly prefix: string; readonly content: string }[] = [];
  #markers: { readonly prefix: string; readonly content: string }[] = [];
  #end: bigint | undefined;
  /** Rows of the transaction that is coming were cut already. */
  #isInside = false;

  /** What comes again of a transaction that was applied. */
  #isKnown = false;

  /** `from`: what committed before has been applied. */
  constructor(
    private readonly tables: readonly StreamedTable[],
    private readonly from: bigint,
  ) {}

  get hasCommitted(): boolean {
    return this.#end !== undefined;
  }

  get isEmpty(): boolean {
    return this.#end === undefined && !this.#isInside;
  }

  take(message: StreamMessage, bytes: number): void {
    switch (message.kind) {
      case 'relation':
        this.#know(message);
        break;
      case 'begin':
        this.#isInside = true;
        this.#isKnown = message.commit < this.from;
        break;
      case 'commit':
        this.#noteComing();
        this.#markers.push(...this.#comingMarkers.splice(0));
        if (!this.#isKnown) this.#end = message.end;
        this.#isInside = false;
        this.#isKnown = false;
        this.#comingBytes = 0;
        break;
      case 'marker':
        this.#comingMarkers.push(message);
        break;
      case 'other':
        break;
      default:
        if (this.#isKnown) break;
        this.#coming.push(message);
        this.bytes += bytes;
        this.#comingBytes += bytes;
    }
  }

  /** Takes all whole transactions; `all`: what has come of the next one too. */
  cut(all: boolean): ChangeBatch {
    if (all) {
      this.#noteComing();
      this.#comingBytes = 0;
    }
    const tables = [...this.#relations.values()].flatMap(({ source, table, changes }) => changes.splice(0).flatMap((of, place) => {
      const sql = source.targets[place];
      return of === undefined || sql === undefined ? [] : [{ table: { ...table, sql }, net: of.net() }];
    }));
    const batch = { tables, end: this.#end, isCutShort: all && this.#isInside, markers: this.#markers };
    this.#end = undefined;
    this.#markers = [];
    this.bytes = this.#comingBytes;
    return batch;
  }

  /** What is known of a relation that has changed is of no use for the rows that come, nor the other way round. */
  #know(message: RelationMessage): void {
    const source = this.tables.find(({ schema, name }) => schema === message.schema && name === message.name);
    assert(source !== undefined, `changes of ${message.schema}.${message.name}, which is not moved`);
    const table = appliedTable(source, message);
    const known = this.#relations.get(message.relation);
    const column = message.columns.findIndex(({ name }) => name === source.route?.column);
    if (known === undefined) this.#relations.set(message.relation, { source, table, column, changes: [] });
    else assert(JSON.stringify(known.table) === JSON.stringify(table), `the stream's view of ${message.name} has changed`);
  }

  #noteComing(): void {
    for (const change of this.#coming) this.#note(change);
    this.#coming = [];
  }

  #note(change: ChangeMessage): void {
    if (change.kind === 'truncate') {
      for (const id of change.relations) {
        const relation = this.#relation(id);
        for (const place of relation.source.targets.keys()) changesOf(relation, place)?.truncate();
      }
      return;
    }
    const relation = this.#relation(change.relation);
    const { route } = relation.source;
    if (route === undefined) changesOf(relation, 0)?.note(change);
    else for (const routed of routeChange(change, route, relation.column)) changesOf(relation, routed.place)?.note(routed.change);
  }

  #relation(id: number): Relation {
    return present(this.#relations.get(id), 'relation of a change');
  }
}

/** Undefined for a target on another node. */
function changesOf({ source, table, changes }: Relation, place: number): RowChanges | undefined {
  if (source.targets[place] === undefined) return undefined;
  return (changes[place] ??= table.key === undefined ? new WholeRowChanges() : new KeyedChanges(table.key));
}
