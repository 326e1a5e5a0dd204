/**
 * What sessions do, one step a line, in this order: `A x := 11`. A session begins its transaction at its first step. Steps are:
 *
 * - `x := 11`, `x += 1`, `insert z 30`: writes of one row; the rows are `x`, `y`, `z` and `w`, of which the last two are not there at first
 * - `all += 10`, `delete where value = 20`: writes of whatever rows there are
 * - `read x`, `read all`, `read where value % 3 = 0`
 * - `commit`, `abort`
 */
export interface Interleaving {
  readonly name: string;
  readonly steps: readonly string[];
}

export interface Step {
  readonly session: string;
  readonly text: string;
  readonly sql: string;
}

/** The tenants that have the rows. */
export type Layout = Readonly<Record<Row, number>>;

const rows = ['x', 'y', 'z', 'w'] as const;
type Row = (typeof rows)[number];

export function parseStep(line: string, layout: Layout): Step {
  const [session = '', ...words] = line.split(' ');
  const text = words.join(' ');
  return { session, text, sql: sqlOf(text, layout) };
}

/** The two rows that are there at first. */
export function initialRows(layout: Layout): string {
  return `DELETE FROM cells; INSERT INTO cells VALUES (${layout.x}, 1, 10), (${layout.y}, 2, 20)`;
}

function sqlOf(text: string, layout: Layout): string {
  const all = `tenant_id IN (${[...new Set(Object.values(layout))].join(', ')})`;
  const at = (name: string | undefined): string => {
    const row = rows.find((known) => known === name);
    if (row === undefined) throw new Error(`no such row: ${name}`);
    return `tenant_id = ${layout[row]} AND id = ${idOf(row)}`;
  };
  const read = (condition: string): string => `SELECT id, value FROM cells WHERE ${condition} ORDER BY id`;
  const patterns: readonly (readonly [RegExp, (first: string, second: string) => string])[] = [
    [/^(commit|abort)$/, (end) => end.toUpperCase()],
    [/^read all$/, () => read(all)],
    [/^read where (.+)$/, (condition) => read(`${all} AND ${condition}`)],
    [/^read (\w)$/, (row) => read(at(row))],
    [/^insert (\w) (\d+)$/, (row, value) => `INSERT INTO cells VALUES (${layout[row as Row]}, ${idOf(row as Row)}, ${value})`],
    [/^delete where (.+)$/, (condition) => `DELETE FROM cells WHERE ${all} AND ${condition}`],
    [/^all \+= (\d+)$/, (value) => `UPDATE cells SET value = value + ${value} WHERE ${all}`],
    [/^(\w) := (\d+)$/, (row, value) => `UPDATE cells SET value = ${value} WHERE ${at(row)}`],
    [/^(\w) \+= (\d+)$/, (row, value) => `UPDATE cells SET value = value + ${value} WHERE ${at(row)}`],
  ];
  for (const [pattern, make] of patterns) {
    const found = pattern.exec(text);
    if (found !== null) return make(found[1] ?? '', found[2] ?? '');
  }
  throw new Error(`no such step: ${text}`);
}

function idOf(row: Row): number {
  return rows.indexOf(row) + 1;
}
