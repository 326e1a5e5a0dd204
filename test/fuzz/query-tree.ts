/** Types the generator tells apart. `key` is a distribution or primary key: compared and grouped, never calculated with. */
export type ValueType = 'key' | 'int' | 'numeric' | 'ratio' | 'float' | 'inexact' | 'text' | 'bool' | 'date' | 'time' | 'uuid' | 'json' | 'list' | 'range' | 'mood' | 'pair';

/** A SQL expression as text with holes, so that the shrinker can put a smaller one in its place. */
export interface Expression {
  readonly kind: 'expression';
  readonly type: ValueType;
  readonly parts: readonly (string | Expression | Parameter | Select)[];
}

export interface Parameter {
  readonly kind: 'parameter';
  readonly value: unknown;
  /** Written with the number of an earlier one of the same value, if there is one. */
  readonly shared?: boolean;
}

export type Source =
  /** `columns`: other names for its first columns; `sample`: TABLESAMPLE, of all rows or none. */
  | { readonly kind: 'table'; readonly name: string; readonly alias: string; readonly columns?: readonly string[]; readonly sample?: string }
  | { readonly kind: 'subquery'; readonly select: Select; readonly alias: string; readonly lateral?: boolean; readonly columns?: readonly string[] }
  /** VALUES in parentheses, or calls of functions. */
  | { readonly kind: 'computed'; readonly parts: Expression['parts']; readonly alias: string }
  /** `using` instead of `on`; a natural or cross join has neither. */
  | { readonly kind: 'join'; readonly type: string; readonly left: Source; readonly right: Source; readonly on: readonly Expression[]; readonly using?: readonly string[] };

export interface CommonTable {
  readonly name: string;
  readonly select: Select;
  /** Written before the query: `MATERIALIZED `, `NOT MATERIALIZED ` or nothing. */
  readonly materialized?: string;
  readonly recursive?: boolean;
}

/** `keys` are result columns from 0, fewer than all unless `total`: then every column follows them. */
export interface Ordering {
  readonly total: boolean;
  readonly keys: readonly number[];
  /** Appended to each key in turn: `DESC`, `NULLS FIRST` or nothing. */
  readonly directions: readonly string[];
  /** A last key that is no result column. */
  readonly last?: Expression;
}

export interface Select {
  readonly kind: 'select';
  readonly ctes: readonly CommonTable[];
  readonly distinct: boolean;
  /** DISTINCT ON so many of the first result columns; they must be the first to sort by. */
  readonly distinctOn?: number;
  readonly items: readonly Expression[];
  readonly from: Source | undefined;
  readonly where: readonly Expression[];
  readonly groupBy: readonly Expression[];
  /** Around the grouping keys; `GROUPING SETS` means all, the first, none. */
  readonly grouping?: 'ROLLUP' | 'CUBE' | 'GROUPING SETS';
  readonly having: readonly Expression[];
  /** A query in parentheses instead of all of the above but `ctes` and `items`, which are its own. */
  readonly head?: Select;
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
  const ctes = select.ctes.map(({ name, select: body, materialized = '' }) => `${name} AS ${materialized}(${selectText(body, values)})`);
  const recursive = select.ctes.some((cte) => cte.recursive === true) ? 'RECURSIVE ' : '';
  return [
    ...(ctes.length === 0 ? [] : [`WITH ${recursive}${ctes.join(', ')}`]),
    ...(select.head === undefined ? coreText(select, values) : [`(${selectText(select.head, values)})`]),
    ...(select.setOperation === undefined ? [] : [select.setOperation.operator, operandText(select.setOperation.right, values)]),
    ...orderText(select, values),
    ...(select.limit === undefined ? [] : [`LIMIT ${select.limit}`]),
    ...(select.offset === undefined ? [] : [`OFFSET ${select.offset}`]),
  ].join(' ');
}

function coreText(select: Select, values: unknown[]): string[] {
  const items = select.items.map((item, index) => `${partsText(item.parts, values)} AS c${index}`);
  const list = (keyword: string, expressions: readonly Expression[], separator: string): string[] =>
    expressions.length === 0 ? [] : [keyword, expressions.map((one) => partsText(one.parts, values)).join(separator)];
  return [
    distinctText(select, values),
    items.join(', '),
    ...(select.from === undefined ? [] : ['FROM', sourceText(select.from, values)]),
    ...list('WHERE', select.where, ' AND '),
    ...groupText(select, values),
    ...list('HAVING', select.having, ' AND '),
  ];
}

function distinctText({ distinct, distinctOn = 0, items }: Select, values: unknown[]): string {
  if (distinctOn > 0) return `SELECT DISTINCT ON (${items.slice(0, distinctOn).map((item) => partsText(item.parts, values)).join(', ')})`;
  return distinct ? 'SELECT DISTINCT' : 'SELECT';
}

function groupText({ groupBy, grouping }: Select, values: unknown[]): string[] {
  if (groupBy.length === 0) return [];
  const keys = groupBy.map((key) => partsText(key.parts, values));
  if (grouping === undefined) return ['GROUP BY', keys.join(', ')];
  return ['GROUP BY', grouping, grouping === 'GROUPING SETS' ? `((${keys.join(', ')}), (${keys[0] ?? ''}), ())` : `(${keys.join(', ')})`];
}

function operandText(select: Select, values: unknown[]): string {
  const { ctes, head, setOperation, order, limit, offset } = select;
  const text = selectText(select, values);
  const plain = ctes.length === 0 && head === undefined && setOperation === undefined && order === undefined && limit === undefined && offset === undefined;
  return plain ? text : `(${text})`;
}

/** Result columns a query sorts by, in order. */
export function sortColumns({ order, items }: Select): number[] {
  if (order === undefined) return [];
  const keys = order.keys.filter((key) => key < items.length);
  return order.total ? [...keys, ...items.flatMap((_, index) => (keys.includes(index) ? [] : [index]))] : keys;
}

function orderText(select: Select, values: unknown[]): string[] {
  const last = select.order?.last === undefined ? [] : [partsText(select.order.last.parts, values)];
  const directions = select.order?.directions ?? [];
  const keys = sortColumns(select).map((column, index) => `${column + 1} ${directions[index % directions.length] ?? ''}`.trim());
  return keys.length + last.length === 0 ? [] : [`ORDER BY ${[...keys, ...last].join(', ')}`];
}

function sourceText(source: Source, values: unknown[]): string {
  switch (source.kind) {
    case 'table':
      return source.alias === '' ? source.name : `${source.name} AS ${source.alias}${columnsText(source.columns)}${source.sample === undefined ? '' : ` ${source.sample}`}`;
    case 'subquery':
      return `${source.lateral === true ? 'LATERAL ' : ''}(${selectText(source.select, values)}) AS ${source.alias}${columnsText(source.columns)}`;
    case 'computed':
      return `${partsText(source.parts, values)} AS ${source.alias}`;
    case 'join':
      return joinText(source, values);
  }
}

function columnsText(columns: readonly string[] | undefined): string {
  return columns === undefined ? '' : `(${columns.join(', ')})`;
}

function joinText({ type, left, right, on, using }: Source & { kind: 'join' }, values: unknown[]): string {
  const sides = [sourceText(left, values), type, right.kind === 'join' ? `(${sourceText(right, values)})` : sourceText(right, values)].join(' ');
  if (using !== undefined) return `${sides} USING (${using.join(', ')})`;
  if (type === 'CROSS JOIN' || type.startsWith('NATURAL')) return sides;
  const condition = on.map((one) => partsText(one.parts, values)).join(' AND ');
  return `${sides} ON ${condition === '' ? 'true' : condition}`;
}

function partsText(parts: Expression['parts'], values: unknown[]): string {
  return parts.map((part) => partText(part, values)).join('');
}

function partText(part: string | Expression | Parameter | Select, values: unknown[]): string {
  if (typeof part === 'string') return part;
  if (part.kind === 'parameter') {
    const earlier = part.shared === true ? values.indexOf(part.value) + 1 : 0;
    return `$${earlier > 0 ? earlier : values.push(part.value)}`;
  }
  return part.kind === 'select' ? selectText(part, values) : partsText(part.parts, values);
}
