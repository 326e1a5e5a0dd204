import { markOf } from './schema-tables.ts';

/** What is wrong with a row that `SELECT *` gave: a value that belongs to another column, or a column that nobody made. Undefined when all is well. */
export function wrongRow(row: Readonly<Record<string, unknown>>): string | undefined {
  const { tenant, id, lane, mark } = row;
  if (mark !== markOf(Number(lane), String(tenant), String(id))) return `mark ${String(mark)} in ${JSON.stringify(row)}`;
  const names = Object.keys(row);
  if (!['tenant', 'id', 'lane', 'v', 'mark', 'code'].every((name, i) => names[i] === name)) return `columns ${names.join(', ')}`;
  const wrong = Object.entries(row).find(([name, value]) => !fits(name, value));
  return wrong === undefined ? undefined : `${wrong[0]} is ${String(wrong[1])} in ${JSON.stringify(row)}`;
}

function fits(name: string, value: unknown): boolean {
  const [, kind, number] = /^([cimn])(\d+)/.exec(name) ?? [];
  if (kind === undefined) return ['tenant', 'id', 'lane', 'v', 'mark', 'code', 'day'].includes(name);
  if (value === null) return true;
  switch (kind) {
    case 'c':
      return value === `c${number}` || value === `c${number} again` || value === `c${number} made`;
    case 'i':
      return Number(value) === Number(number);
    case 'm':
      return value === 'sad';
    default:
      return Number(value) > 0;
  }
}
