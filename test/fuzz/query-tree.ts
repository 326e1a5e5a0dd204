/** Types the generator tells apart. `key` is a distribution or primary key: compared and grouped, never calculated with. */
export type ValueType = 'key' | 'int' | 'numeric' | 'ratio' | 'float' | 'inexact' | 'text' | 'bool' | 'date' | 'time' | 'uuid';

/** A SQL expression as text with holes, so that the shrinker can put a smaller one in its place. */
export interface Expression {
  readonly kind: 'expression';
  readonly type: ValueType;
  readonly parts: readonly (string | Expression | Parameter | Select)[];
}

export interface Parameter {
  readonly kind: 'parameter';
  readonly value: unknown;
}

export type Source =
  | { readonly kind: 'table'; readonly name: string; readonly alias: string }
  | { readonly kind: 'subquery'; readonly select: Select; readonly alias: string }
  | { readonly kind: 'join'; readonly type: string; readonly left: Source; readonly right: Source; readonly on: readonly Expression[] };

/** `keys` are result columns from 0, fewer than all unless `total`: then every column follows them. */
export interface Ordering {
  readonly total: boolean;
  readonly keys: readonly number[];
  /** Appended to each key in turn: `DESC`, `NULLS FIRST` or nothing. */
  readonly directions: readonly string[];
}

export interface Select {
  readonly kind: 'select';
  readonly ctes: readonly { readonly name: string; readonly select: Select }[];
  readonly distinct: boolean;
  readonly items: readonly Expression[];
  readonly from: Source | undefined;
  readonly where: readonly Expression[];
  readonly groupBy: readonly Expression[];
  readonly having: readonly Expression[];
  readonly setOperation: { readonly operator: string; readonly right: Select } | undefined;
  readonly order: Ordering | undefined;
  readonly limit: number | undefined;
  readonly offset: number | undefined;
}

export interface Rendered {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** The text of a query; parameters are numbered from left to right. Result columns are c0, c1, … */
export function renderSelect(select: Select): Rendered {
  const values: unknown[] = [];
  return { sql: selectText(select, values), values };
}

/** Statements other than SELECT: the same, from an expression's parts. */
export function renderParts(parts: Expression['parts']): Rendered {
  const values: unknown[] = [];
  return { sql: partsText(parts, values), values };
}

export function expression(type: ValueType, ...parts: Expression['parts']): Expression {
  return { kind: 'expression', type, parts };
}

function selectText(select: Select, values: unknown[]): string {
  const ctes = select.ctes.map(({ name, select: body }) => `${name} AS (${selectText(body, values)})`);
  const items = select.items.map((item, index) => `${partsText(item.parts, values)} AS c${index}`);
  const list = (keyword: string, expressions: readonly Expression[], separator: string): string[] =>
    expressions.length === 0 ? [] : [keyword, expressions.map((one) => partsText(one.parts, values)).join(separator)];
  return [
    ...(ctes.length === 0 ? [] : [`WITH ${ctes.join(', ')}`]),
    select.distinct ? 'SELECT DISTINCT' : 'SELECT',
    items.join(', '),
    ...(select.from === undefined ? [] : ['FROM', sourceText(select.from, values)]),
    ...list('WHERE', select.where, ' AND '),
    ...list('GROUP BY', select.groupBy, ', '),
    ...list('HAVING', select.having, ' AND '),
    ...(select.setOperation === undefined ? [] : [select.setOperation.operator, selectText(select.setOperation.right, values)]),
    ...orderText(select),
    ...(select.limit === undefined ? [] : [`LIMIT ${select.limit}`]),
    ...(select.offset === undefined ? [] : [`OFFSET ${select.offset}`]),
  ].join(' ');
}

/** Result columns a query sorts by, in order. */
export function sortColumns({ order, items }: Select): number[] {
  if (order === undefined) return [];
  const keys = order.keys.filter((key) => key < items.length);
  return order.total ? [...keys, ...items.flatMap((_, index) => (keys.includes(index) ? [] : [index]))] : keys;
}

function orderText(select: Select): string[] {
  const directions = select.order?.directions ?? [];
  const keys = sortColumns(select).map((column, index) => `${column + 1} ${directions[index % directions.length] ?? ''}`.trim());
  return keys.length === 0 ? [] : [`ORDER BY ${keys.join(', ')}`];
}

function sourceText(source: Source, values: unknown[]): string {
  if (source.kind === 'table') return source.alias === '' ? source.name : `${source.name} AS ${source.alias}`;
  if (source.kind === 'subquery') return `(${selectText(source.select, values)}) AS ${source.alias}`;
  const left = sourceText(source.left, values);
  const right = sourceText(source.right, values);
  const on = source.on.map((one) => partsText(one.parts, values)).join(' AND ');
  return `${left} ${source.type} ${right}${source.type === 'CROSS JOIN' ? '' : ` ON ${on === '' ? 'true' : on}`}`;
}

function partsText(parts: Expression['parts'], values: unknown[]): string {
  return parts.map((part) => partText(part, values)).join('');
}

function partText(part: string | Expression | Parameter | Select, values: unknown[]): string {
  if (typeof part === 'string') return part;
  if (part.kind === 'parameter') return `$${values.push(part.value)}`;
  return part.kind === 'select' ? selectText(part, values) : partsText(part.parts, values);
}
