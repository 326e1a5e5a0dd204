import { at } from '../base/assert.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import type { NamedEffects, SequenceEffects } from './sequence-effects.ts';

/** What the coordinator database says of what statements name. OIDs are as numbers. */
export interface SequenceFacts {
  /** Names of functions that may do anything. */
  readonly functions: ReadonlySet<string>;
  /** By names of sequences; null where there is none. */
  readonly sequences: ReadonlyMap<string, number | null>;
  readonly relations: ReadonlyMap<string, RelationFacts | null>;
}

export interface RelationFacts {
  readonly oid: number;
  /** To read it may call a function that may do anything: of a view, or a policy. */
  readonly readsByCode: boolean;
  /** To write it may: a trigger, a rule, a default. */
  readonly writesByCode: boolean;
  /** The same of a CHECK constraint, or an index of an expression. */
  readonly checksByCode: boolean;
  /** Those that its columns, or those of its partitions, take their defaults from, by the columns' names. */
  readonly sequences: readonly (readonly [column: string, sequence: number])[];
}

/** A function that may do anything: not PostgreSQL's own. One in C that takes no text and is called so (`uuid_generate_v4`) makes values, no more. */
const mayDoAnything = `p.oid >= 16384 AND NOT (l.lanname IN ('c', 'internal') AND (p.provolatile <> 'v' OR p.pronargs = 0))`;

const functionsQuery = `SELECT pg_catalog.json_agg(DISTINCT p.proname) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.proname = ANY ($1::text[]) AND ${mayDoAnything}`;

/** Whether something depends on a function that may do anything, and, `among` the catalog's relations `below`, what. */
const dependsOnCode = (from: string, where = 'true'): string => `EXISTS (SELECT FROM ${from} JOIN pg_catalog.pg_proc p ON d.refclassid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.refobjid JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE ${mayDoAnything} AND ${where})`;

/** Of a column that is generated it is the column that depends on the functions. */
const defaults = (of: string): string => `pg_catalog.pg_attrdef f JOIN ${of} ON f.adrelid = ${of}.oid JOIN pg_catalog.pg_depend d
  ON (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid) OR (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = f.adrelid AND d.objsubid = f.adnum)`;
const checks = `pg_catalog.pg_constraint k JOIN reached ON k.conrelid = reached.oid JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid`;
const indexes = `pg_catalog.pg_index x JOIN reached ON x.indrelid = reached.oid JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = x.indexrelid`;
const ruleOfView = `pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON r.ev_class = c.oid AND d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid`;

/** A view over tables alone, without functions of the user's or of sequences, only reads. */
const viewByCode = `c.relkind = 'v' AND c.oid >= 16384 AND (pg_catalog.pg_get_viewdef(c.oid) ~* '(nextval|setval|_to_xml)' OR ${dependsOnCode(ruleOfView)}
  OR EXISTS (SELECT FROM ${ruleOfView} JOIN pg_catalog.pg_class o ON d.refclassid = 'pg_catalog.pg_class'::regclass AND o.oid = d.refobjid AND o.oid <> c.oid WHERE o.relkind IN ('v', 'S') AND o.oid >= 16384))`;

/** Tables whose rows foreign keys change with those of `reached`, by statements of PostgreSQL's own that run the code of these tables. */
const followers = `SELECT k.conrelid FROM pg_catalog.pg_constraint k WHERE k.confrelid = reached.oid AND k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))`;

/** Foreign keys that set columns of such tables to defaults, which take values of sequences. */
const defaulting = `pg_catalog.pg_constraint k JOIN reached ON k.confrelid = reached.oid JOIN pg_catalog.pg_attrdef f ON f.adrelid = k.conrelid AND f.adnum = ANY (k.conkey)
  WHERE k.contype = 'f' AND 'd' IN (k.confdeltype, k.confupdtype) AND pg_catalog.pg_get_expr(f.adbin, f.adrelid) ~* '(nextval|setval)'`;

/** With its partitions and heirs, and, where it is written, what follows its rows. A default may find its sequence by a name that is no constant. */
const relationQuery = `WITH RECURSIVE below AS (SELECT c.oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below ON i.inhparent = below.oid),
    reached AS (SELECT oid FROM below UNION SELECT f.oid FROM reached, LATERAL (SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = reached.oid UNION ALL ${followers}) AS f(oid))
  SELECT pg_catalog.json_build_object(
    'oid', c.oid::int8,
    'readsByCode', c.relrowsecurity OR ${viewByCode},
    'writesByCode', EXISTS (SELECT FROM pg_catalog.pg_class w JOIN reached ON w.oid = reached.oid WHERE w.relrowsecurity OR w.relhasrules)
      OR EXISTS (SELECT FROM pg_catalog.pg_trigger t JOIN reached ON t.tgrelid = reached.oid WHERE NOT t.tgisinternal) OR ${dependsOnCode(defaults('reached'))} OR EXISTS (SELECT FROM ${defaulting})
      OR EXISTS (SELECT FROM pg_catalog.pg_attrdef f JOIN below ON f.adrelid = below.oid WHERE pg_catalog.pg_get_expr(f.adbin, f.adrelid) ~* '(nextval|setval)'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> f.adrelid)),
    'checksByCode', ${dependsOnCode(checks)} OR ${dependsOnCode(indexes)},
    'sequences', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, s.oid::int8)) FROM pg_catalog.pg_class s JOIN (
      SELECT f.adrelid AS of, f.adnum AS column, d.refobjid AS oid FROM ${defaults('below')} WHERE d.refclassid = 'pg_catalog.pg_class'::regclass
      UNION SELECT d.refobjid, d.refobjsubid, d.objid FROM pg_catalog.pg_depend d JOIN below ON d.refobjid = below.oid WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
    ) AS used ON s.oid = used.oid JOIN pg_catalog.pg_attribute a ON a.attrelid = used.of AND a.attnum = used.column WHERE s.relkind = 'S'))`;

const query = `SELECT (${functionsQuery}),
  (SELECT pg_catalog.json_object_agg(name, pg_catalog.to_regclass(name)::oid::int8) FROM pg_catalog.unnest($2::text[]) AS name),
  (SELECT pg_catalog.json_object_agg(name, (SELECT facts.json FROM pg_catalog.pg_class c, LATERAL (${relationQuery}) AS facts(json) WHERE c.oid = pg_catalog.to_regclass(name))) FROM pg_catalog.unnest($3::text[]) AS name)`;

/** Operators, casts, aggregates and domains, whose functions run without being named. */
const unnamedQuery = `SELECT ${dependsOnCode(`pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
  LEFT JOIN pg_catalog.pg_proc a ON d.classid = 'pg_catalog.pg_proc'::regclass AND a.oid = d.objid`,
  `(d.classid IN ('pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_cast'::regclass, 'pg_catalog.pg_type'::regclass) OR k.contypid <> 0 OR a.prokind = 'a')`)}`;

/** Whether there are any such, which may do anything. */
export async function hasUnnamedCode(scope: StatementScope): Promise<boolean> {
  const { rows } = await scope.run(coordinatorNodeId, { text: unnamedQuery }, 'read');
  return at(rows, 0)[0] === 't';
}

/** What texts of code have that changes sequences by anything but `nextval`. */
const setting = `'(setval|\\msequence\\M|\\mrestart\\M)'`;

const settingQuery = `SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid >= 16384 AND n.nspname <> 'shardwright' AND coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) ~* ${setting})
  OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE r.oid >= 16384 AND n.nspname <> 'shardwright' AND pg_catalog.pg_get_ruledef(r.oid) ~* ${setting})`;

/** Whether the text of some function, view or rule has something that sets sequences. */
export async function codeSetsSequences(scope: StatementScope): Promise<boolean> {
  const { rows } = await scope.run(coordinatorNodeId, { text: settingQuery }, 'read');
  return at(rows, 0)[0] === 't';
}

/** Looks up what the statements name, and the sequences besides, as the session's search path leads. */
export async function readSequenceFacts(scope: StatementScope, effects: readonly NamedEffects[], sequences: readonly string[]): Promise<SequenceFacts> {
  const names = {
    functions: [...new Set(effects.flatMap((one) => one.functions))],
    sequences: [...new Set([...effects.flatMap((one) => one.sequences.map(({ sequence }) => sequence)), ...sequences])],
    relations: [...new Set(effects.flatMap((one) => one.relations))],
  };
  if (names.functions.length + names.sequences.length + names.relations.length === 0) return { functions: new Set(), sequences: new Map(), relations: new Map() };
  const { rows } = await scope.run(coordinatorNodeId, { text: query, values: [names.functions, names.sequences, names.relations] }, 'read');
  const [functions, oids, relations] = at(rows, 0);
  return {
    functions: new Set(JSON.parse(functions ?? '[]') as string[]),
    sequences: new Map(Object.entries(JSON.parse(oids ?? '{}') as Record<string, number | null>)),
    relations: new Map(Object.entries(JSON.parse(relations ?? '{}') as Record<string, RawFacts | null>).map(([name, facts]) => [name, facts === null ? null : { ...facts, sequences: facts.sequences ?? [] }])),
  };
}

type RawFacts = Omit<RelationFacts, 'sequences'> & { readonly sequences: RelationFacts['sequences'] | null };

interface Judging {
  readonly facts: SequenceFacts;
  /** Whether the cluster itself gives a table its values. */
  readonly supplied: (relation: number) => boolean;
}

/** The sequence that a statement takes its values of, if it takes any; undefined where it might take others. */
export function onlySequence(effects: SequenceEffects, { facts, supplied }: Judging): number | undefined {
  if (effects.kind !== 'named' || effects.sequences.length > 0 || effects.functions.some((name) => facts.functions.has(name))) return undefined;
  const found = new Set<number>();
  for (const name of effects.relations) {
    const relation = facts.relations.get(name);
    if (relation === undefined || relation === null) {
      if (effects.common.has(name)) continue;
      return undefined;
    }
    if (supplied(relation.oid)) continue;
    if (relation.readsByCode || (effects.writes && relation.writesByCode)) return undefined;
    for (const sequence of takenFor(effects, name, relation)) found.add(sequence);
  }
  return found.size === 1 ? [...found][0] : undefined;
}

/** Whether a statement may have changed the session's last value of a sequence; without one, used any. */
export function mayTake(effects: SequenceEffects, sequence: number | undefined, { facts, supplied }: Judging): boolean {
  if (effects.kind !== 'named') return effects.kind === 'unknown';
  const isMeant = (oid: number | null | undefined): boolean => sequence === undefined || oid === undefined || oid === null || oid === sequence;
  if (effects.functions.some((name) => facts.functions.has(name)) || effects.sequences.some((call) => isMeant(facts.sequences.get(call.sequence)) && !(call.sets && sequence === undefined))) return true;
  return effects.relations.some((name) => {
    const relation = facts.relations.get(name);
    if (relation === undefined || relation === null) return !effects.common.has(name);
    if (supplied(relation.oid)) return false;
    return relation.readsByCode || (effects.writes && (relation.writesByCode || takenFor(effects, name, relation).some(isMeant)));
  });
}

/** Sequences of defaults that a statement may use. */
function takenFor({ fills }: NamedEffects, name: string, { sequences }: RelationFacts): number[] {
  const fill = fills.filter(({ relation }) => relation === name);
  return sequences.filter(([column]) => fill.some(({ given }) => !given.includes(column))).map(([, sequence]) => sequence);
}
