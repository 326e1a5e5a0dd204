import { RawStatement } from './collect-statement.ts';
import type { KnownStatements } from './known-statements.ts';
import type { Link } from './link.ts';
import type { MessageWriter } from './message-writer.ts';
import type { CallOptions, FieldDescriptor, NodeNotice, NodeQuery, RawResult } from './node-connection.ts';
import { type CompleteMessage, Statement } from './statement.ts';
import { at } from '../base/assert.ts';
import { sqlStateOf } from '../base/errors.ts';

/**
 * Several statements with one Sync behind the last. After an error the server skips the rest. Outside a transaction block they are one
 * transaction, which the Sync commits; so each is settled when that is done, or none is and `failed` is called.
 */
export class BatchStatement extends Statement {
  /** The member whose answers come. */
  #current = 0;

  constructor(
    private readonly members: readonly Statement[],
    options: CallOptions | undefined,
    private readonly failed: (error: unknown) => void,
  ) {
    super({ text: '' }, options, false);
  }

  override submit(out: MessageWriter, known: KnownStatements): void {
    for (const member of this.members) member.writeExtended(out, known);
    out.sync();
  }

  override onParsed(): void {
    this.#member().onParsed();
  }

  override forgetUnparsed(known: KnownStatements): void {
    const forgotten = this.error !== undefined && sqlStateOf(this.error) === unknownStatement;
    for (const member of this.members) {
      member.forgetUnparsed(known);
      if (forgotten && member.known !== undefined) known.forget(member.known);
    }
  }

  override describedAs(fields: FieldDescriptor[]): void {
    this.#member().describedAs(fields);
  }

  override describedAsNone(): void {
    this.#member().describedAsNone();
  }

  override onNotice(notice: NodeNotice): void {
    this.#member().onNotice(notice);
  }

  override onFields(fields: FieldDescriptor[]): void {
    this.#member().onFields(fields);
  }

  override onRow(fields: (string | null)[]): void {
    this.#member().onRow(fields);
  }

  override onComplete(message: CompleteMessage): void {
    this.#member().onComplete(message);
    this.#current += 1;
  }

  override settle(): void {
    if (this.error === undefined) for (const member of this.members) member.settle();
    else this.failed(this.error);
  }

  /** What is said at the commit belongs to the last. */
  #member(): Statement {
    return at(this.members, Math.min(this.#current, this.members.length - 1));
  }
}

/** One result per query; rejects with the first error. */
export function runBatch(link: Link, queries: readonly NodeQuery[], options: CallOptions | undefined): Promise<RawResult[]> {
  return new Promise((resolve, reject) => {
    const results: RawResult[] = [];
    const members = queries.map((query, i) => new RawStatement(query, options, (_error, value) => {
      results.push(at(value ?? [], 0));
      if (i === queries.length - 1) resolve(results);
    }));
    link.start(new BatchStatement(members, options, reject));
  });
}

const unknownStatement = '26000';
