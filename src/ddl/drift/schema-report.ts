/** One thing in which a shard, or what belongs to it, is not as the table in the coordinator database says. */
export interface SchemaDifference {
  /** Of the table; null when no table is known for it. */
  readonly schema: string | null;
  readonly table: string | null;
  /** `host:port/database` of the server that has to be repaired. */
  readonly node: string;
  /** The shard's own name on the node; null when the table itself is meant, in the coordinator database. */
  readonly shard: string | null;
  /** `column "total"`, `index "orders_total_idx"`, `shard`. */
  readonly what: string;
  /** Null where there should be nothing. */
  readonly expected: string | null;
  /** Null where there is nothing. */
  readonly found: string | null;
  /** SQL to run on that server as one text, hence in one transaction; empty when no statement can repair it. Several of one shard are run in the order in which they stand. */
  readonly repair: string;
}

/** What `cluster.checkSchema()` found. */
export interface SchemaReport {
  readonly differences: readonly SchemaDifference[];
  /** How many shards, and copies of reference tables, were compared. */
  readonly shards: number;
  /** All of it for people to read. */
  readonly text: string;
}

export function schemaReport(differences: readonly SchemaDifference[], shards: number): SchemaReport {
  const head = `${count(shards, 'shard')} compared, ${count(differences.length, 'difference')}`;
  return { differences, shards, text: [head, ...differences.map(paragraph)].join('\n\n') };
}

function count(number: number, noun: string): string {
  return `${number === 0 ? 'no' : number} ${noun}${number === 1 ? '' : 's'}`;
}

function paragraph({ schema, table, node, shard, what, expected, found, repair }: SchemaDifference): string {
  const where = [...(table === null ? [] : [`table ${schema}.${table}`]), ...(shard === null ? [] : [`shard ${shard}`]), `node ${node}`].join(', ');
  const lines = [`${where}: ${what}`, `  expected: ${expected ?? 'nothing'}`, `  found:    ${found ?? 'nothing'}`];
  return [...lines, ...(repair === '' ? [] : [`  repair:   ${repair}`])].join('\n');
}
