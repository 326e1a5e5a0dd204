import { assert, present } from '../base/assert.ts';
import type { AppliedTable } from './apply/apply-net-changes.ts';
import { KeyedChanges } from './apply/keyed-changes.ts';
import type { NetChanges, RowChanges } from './apply/row-changes.ts';
import { WholeRowChanges } from './apply/whole-row-changes.ts';
import type { ChangeMessage, RelationMessage, StreamMessage } from './pgoutput/message.ts';
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
  readonly table: AppliedTable;
  changes: RowChanges | undefined;
}

/** Changes that have come and are not applied yet. Those of a transaction count when it has come to its end. */
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

  constructor(private readonly tables: readonly StreamedTable[]) {}

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
        break;
      case 'commit':
        this.#noteComing();
        this.#markers.push(...this.#comingMarkers.splice(0));
        this.#end = message.end;
        this.#isInside = false;
        this.#comingBytes = 0;
        break;
      case 'marker':
        this.#comingMarkers.push(message);
        break;
      case 'other':
        break;
      default:
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
    const tables = [...this.#relations.values()].flatMap((relation) => {
      const { table, changes } = relation;
      relation.changes = undefined;
      return changes === undefined ? [] : [{ table, net: changes.net() }];
    });
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
    if (known === undefined) this.#relations.set(message.relation, { table, changes: undefined });
    else assert(JSON.stringify(known.table) === JSON.stringify(table), `the stream's view of ${message.name} has changed`);
  }

  #noteComing(): void {
    for (const change of this.#coming) this.#note(change);
    this.#coming = [];
  }

  #note(change: ChangeMessage): void {
    if (change.kind === 'truncate') for (const relation of change.relations) this.#changesOf(relation).truncate();
    else this.#changesOf(change.relation).note(change);
  }

  #changesOf(id: number): RowChanges {
    const relation = present(this.#relations.get(id), 'relation of a change');
    relation.changes ??= relation.table.key === undefined ? new WholeRowChanges() : new KeyedChanges(relation.table.key);
    return relation.changes;
  }
}
