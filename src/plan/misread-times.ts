import { once } from '../base/once.ts';
import type { EvaluatedExpression, FanOut } from './fan-out.ts';
import type { ComputedValue, InsertPlan } from './insert/insert-plan.ts';
import type { MergePlan } from './merge-plan.ts';
import { unsupported } from './select/unsupported.ts';
import type { SpreadModify, StatementPlan, WritingParts } from './statement-plan.ts';

/**
 * A plan for a session in whose text of a `timestamptz` other servers, or the same one, would read another moment: outside of ISO, DateStyle writes the zone's abbreviation, which before PostgreSQL 18 means what `timezone_abbreviations` says and not what the session's
 * TimeZone does (`IST` is Israel's). Values that go from one server to another are text. What is evaluated is told in a way that all read alike; where rows go that may have such values, it throws, or rejects with, `unsupportedQuery`. One
 * server's own statements, and rows that go to the caller alone, are as ever.
 */
export function withoutMisreadTimes<P extends StatementPlan>(plan: P): P;
export function withoutMisreadTimes(plan: StatementPlan): StatementPlan {
  switch (plan.kind) {
    case 'select':
      return { ...plan, fanOut: once(() => plan.fanOut().then(safeFanOut)) };
    case 'modify':
      return { ...plan, spread: once(() => plan.spread().then((spread) => ('parts' in spread ? safeParts(spread) : safeSpread(spread)))) };
    case 'insert':
      return safeInsert(plan);
    case 'computed':
      return { ...plan, plan: withoutMisreadTimes(plan.plan) };
    case 'materialize':
      checkTypes(plan.columns);
      return { ...plan, query: withoutMisreadTimes(plan.query) };
    case 'queried_insert':
      throw misread();
    default:
      return plan;
  }
}

interface Typed {
  readonly typeSql: string;
}

/** Types whose texts say the same to all servers under the settings of one session. Others may have moments in them. */
const toldTypes = /^(smallint|integer|bigint|int[248]|numeric|real|double precision|float[48]|bool(ean)?|text|character|varchar|bpchar|pg_catalog\.bpchar|"char"|name|uuid|jsonb?|bytea|date|interval|time|timestamp(\(\d+\))? without|oid|inet|cidr|bit)\b/;

function checkTypes(columns: readonly Typed[]): void {
  if (!columns.every(({ typeSql }) => toldTypes.test(typeSql))) throw misread();
}

function safeFanOut(fanOut: FanOut): FanOut {
  const { overWholeTables } = fanOut;
  checkMerge(fanOut.merge);
  if (fanOut.firstValues.length > 0) throw misread();
  return {
    ...fanOut, evaluated: fanOut.evaluated.map(toldAlike), stages: safeStages(fanOut.stages),
    overWholeTables: overWholeTables === undefined ? undefined : () => overWholeTables().then(safeFanOut),
  };
}

function checkMerge(merge: MergePlan): void {
  if (merge.kind === 'residual') checkTypes(merge.residual.columns);
  if ('input' in merge) checkMerge(merge.input);
}

function safeStages(stages: FanOut['stages']): FanOut['stages'] {
  return stages.map((stage) => {
    checkTypes(stage.result.columns);
    return { ...stage, source: withoutMisreadTimes(stage.source) };
  });
}

function safeSpread(spread: SpreadModify): SpreadModify {
  const { rows, follow } = spread;
  checkTypes([...(rows?.result.columns ?? []), ...(follow?.result.columns ?? [])]);
  return { ...spread, evaluated: spread.evaluated.map(toldAlike), stages: safeStages(spread.stages), rows: rows === undefined ? undefined : { ...rows, source: safeSource(rows.source) } };
}

type RowSource = NonNullable<SpreadModify['rows']>['source'];

function safeSource(source: RowSource): RowSource {
  return source.kind === 'write' ? { ...source, plan: withoutMisreadTimes(source.plan) } : withoutMisreadTimes(source);
}

function safeParts({ parts, main, ...writing }: WritingParts): WritingParts {
  return {
    ...writing,
    parts: parts.map((part) => {
      checkTypes(part.result?.columns ?? []);
      return { ...part, plan: withoutMisreadTimes(part.plan) };
    }),
    main: withoutMisreadTimes(main),
  };
}

function safeInsert(plan: InsertPlan): InsertPlan {
  if (plan.upsert !== undefined) throw misread();
  return { ...plan, computed: plan.computed.map((value): ComputedValue => (value.kind === 'expression' ? toldAlike(value) : value)) };
}

/** The expression as a text that means the same moment whoever reads it, as JSON writes it; evaluated once. */
function toldAlike<T extends Pick<EvaluatedExpression, 'sql'>>(expression: T): T {
  const told = `CASE WHEN pg_catalog.pg_typeof(x) = 'pg_catalog.timestamptz'::pg_catalog.regtype THEN pg_catalog.to_json(x) #>> '{}' ELSE x::pg_catalog.text END`;
  return { ...expression, sql: `(SELECT ${told} FROM (SELECT ${expression.sql} AS x OFFSET 0) AS expression)` };
}

function misread(): Error {
  return unsupported('Times with a time zone would go from server to server as texts, and in those of this session an abbreviation stands for the zone that the servers take for another one.', `SET DateStyle = 'ISO', or choose another TimeZone.`);
}
