import type { MergePlan, RowCount, SortKey } from '../merge-plan.ts';

/** A node of a plan as data; `kind` is the word that the text prints. */
export interface PlanNode {
  readonly kind: string;
  /** What the node does, property by property. */
  readonly properties: Readonly<Record<string, string | number | readonly string[]>>;
  readonly inputs: readonly PlanNode[];
}

/** The merge above the tasks as a tree. */
export function mergeTree(merge: MergePlan, below: PlanNode): PlanNode {
  switch (merge.kind) {
    case 'gather':
      return node('gather', {}, below);
    case 'merge_sorted':
      return node('merge_sorted', { 'sort keys': merge.keys.map(keyText) }, below);
    case 'combine_aggregates':
      return node('combine_aggregates', { groups: merge.groupTypes.length, aggregates: merge.combines.map(({ kind }) => kind) }, mergeTree(merge.input, below));
    case 'distinct':
      return node('distinct', {}, mergeTree(merge.input, below));
    case 'filter':
      return node('filter', { conditions: merge.conditions.map(({ column, operator, constant }) => `${column + 1} ${operator} ${constant}`) }, mergeTree(merge.input, below));
    case 'sort':
      return node('sort', { 'sort keys': merge.keys.map(keyText) }, mergeTree(merge.input, below));
    case 'limit':
      return node('limit', limitProperties(merge.limit, merge.offset, merge.ties !== undefined), mergeTree(merge.input, below));
    case 'project':
      return node('project', { columns: merge.columns.map((column) => String(column + 1)) }, mergeTree(merge.input, below));
    case 'residual':
      return node('residual', { on: 'coordinator database', sql: `${merge.residual.before}gathered${merge.residual.after}` }, mergeTree(merge.input, below));
  }
}

function node(kind: string, properties: PlanNode['properties'], input: PlanNode): PlanNode {
  return { kind, properties, inputs: [input] };
}

function keyText({ column, descending, nullsFirst }: SortKey): string {
  const nulls = nullsFirst === descending ? '' : nullsFirst ? ' NULLS FIRST' : ' NULLS LAST';
  return `${column + 1}${descending ? ' DESC' : ''}${nulls}`;
}

function limitProperties(limit: RowCount | undefined, offset: RowCount | undefined, ties: boolean): PlanNode['properties'] {
  return {
    ...(limit === undefined ? {} : { limit: countText(limit) }),
    ...(offset === undefined ? {} : { offset: countText(offset) }),
    ...(ties ? { with: 'ties' } : {}),
  };
}

function countText(count: RowCount): string {
  return count.kind === 'parameter' ? `$${count.number}` : String(count.rows ?? 'ALL');
}

/** The tree as JSON, in the manner of PostgreSQL's EXPLAIN (FORMAT JSON). */
export function planJson(root: PlanNode): string {
  return JSON.stringify([{ Plan: jsonNode(root) }], undefined, 2);
}

function jsonNode({ kind, properties, inputs }: PlanNode): object {
  const own = Object.entries(properties).map(([name, value]) => [title(name), value]);
  return { 'Node Type': title(kind), ...Object.fromEntries(own), ...(inputs.length === 0 ? {} : { Plans: inputs.map(jsonNode) }) };
}

/** The tree as indented text, in the manner of PostgreSQL's EXPLAIN. */
export function planText(root: PlanNode): string {
  const lines: string[] = [];
  append(root, 0, lines);
  return lines.join('\n');
}

function append({ kind, properties, inputs }: PlanNode, depth: number, lines: string[]): void {
  const indent = depth === 0 ? '' : `${'      '.repeat(depth - 1)}  ->  `;
  lines.push(`${indent}${title(kind)}`);
  const inner = '      '.repeat(depth);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'plan' && typeof value === 'object') lines.push(`${inner}  Plan:`, ...value.map((line) => `${inner}    ${line}`));
    else lines.push(`${inner}  ${title(name)}: ${typeof value === 'object' ? value.join(', ') : oneLine(String(value))}`);
  }
  for (const input of inputs) append(input, depth + 1, lines);
}

function title(kind: string): string {
  return `${kind.charAt(0).toUpperCase()}${kind.slice(1).replaceAll('_', ' ')}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
