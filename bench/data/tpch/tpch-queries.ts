import { readFileSync } from 'node:fs';

export interface TpchQuery {
  /** `q01` to `q22`. */
  readonly name: string;
  readonly sql: string;
  /** The output columns, from 0, that ORDER BY sorts by, in its order. Rows that agree in them may come in any order. */
  readonly sortedBy: readonly number[];
  /** The number of its LIMIT, if it has one: of the rows that agree in the sort keys with the last one, any may have been left out. */
  readonly limit?: number;
}

/**
 * The 22 queries of the specification with the substitution parameters of their validation. Query 15 is its variant with WITH; `scale` is
 * that of the data, which query 11's fraction depends on (2.4.11.3). Read from `queries/`, from the project's root.
 */
export function tpchQueries(scale: number): readonly TpchQuery[] {
  return rules.map((rule, index) => {
    const name = `q${String(index + 1).padStart(2, '0')}`;
    const text = readFileSync(`bench/data/tpch/queries/${name}.sql`, 'utf8').trimEnd();
    return { name, sql: text.replace(':fraction', decimal(0.0001 / scale)), ...rule };
  });
}

/** As SQL writes it, without an exponent, which would make another type of it. */
function decimal(value: number): string {
  return value.toFixed(12).replace(/0+$/, '');
}

const rules: readonly Pick<TpchQuery, 'sortedBy' | 'limit'>[] = [
  { sortedBy: [0, 1] },
  { sortedBy: [0, 2, 1, 3], limit: 100 },
  { sortedBy: [1, 2], limit: 10 },
  { sortedBy: [0] },
  { sortedBy: [1] },
  { sortedBy: [] },
  { sortedBy: [0, 1, 2] },
  { sortedBy: [0] },
  { sortedBy: [0, 1] },
  { sortedBy: [2], limit: 20 },
  { sortedBy: [1] },
  { sortedBy: [0] },
  { sortedBy: [1, 0] },
  { sortedBy: [] },
  { sortedBy: [0] },
  { sortedBy: [3, 0, 1, 2] },
  { sortedBy: [] },
  { sortedBy: [4, 3], limit: 100 },
  { sortedBy: [] },
  { sortedBy: [0] },
  { sortedBy: [1, 0], limit: 100 },
  { sortedBy: [0] },
];
