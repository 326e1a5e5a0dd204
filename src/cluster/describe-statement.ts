import type { Callback, FieldDescriptor, StatementShape } from './node-connection.ts';
import type { Link } from './link.ts';
import type { MessageWriter } from './message-writer.ts';
import { Statement } from './statement.ts';

/** Asks for a statement's parameter and column types; it is parsed, not run. */
class DescribeStatement extends Statement {
  #parameterTypes: readonly number[] = [];
  #fields: FieldDescriptor[] = [];

  constructor(
    text: string,
    private readonly types: readonly number[],
    private readonly callback: Callback<StatementShape>,
  ) {
    super({ text }, undefined, false);
  }

  override submit(out: MessageWriter): void {
    out.parse('', this.query.text, this.types);
    out.describe();
    out.sync();
  }

  override onParameters(typeOids: readonly number[]): void {
    this.#parameterTypes = typeOids;
  }

  override onFields(fields: FieldDescriptor[]): void {
    this.#fields = fields;
  }

  override onRow(): void {}
  override onComplete(): void {}

  override settle(): void {
    if (this.error === undefined) this.callback(undefined, { parameterTypes: this.#parameterTypes, fields: this.#fields });
    else this.callback(this.error, undefined);
  }
}

export function runDescribe(link: Link, text: string, types: readonly number[] = []): Promise<StatementShape> {
  return new Promise((resolve, reject) => {
    link.start(
      new DescribeStatement(text, types, (error, shape) => {
        if (shape === undefined) reject(error);
        else resolve(shape);
      }),
    );
  });
}
