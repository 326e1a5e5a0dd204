import type { AlterTableStmt, CommentStmt, CreateStmt, DropStmt, GrantStmt, Node, ObjectType, RangeVar } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { conversionsOf } from './conversions.ts';
import type { Conversion, DefinitionPlan } from './definition-plan.ts';
import { everywhereOf } from './everywhere.ts';
import { attachedPartition, concurrentDetach } from './partition-commands.ts';
import { mayReleaseCopies, referencedByLocal } from './local-keys.ts';
import { mayMakeTables, schemasOf } from './schema-tables.ts';
import { dottedName, nameOfParts, tableNamed, tablesDrawingFrom, type WrittenName, writtenName } from './named-objects.ts';

/** The plan of a statement that changes definitions of distributed or reference tables, or of objects that every node has; undefined for any other. */
export function planDefinition(statement: Statement, names: RelationNames): DefinitionPlan | undefined {
  const { node, text } = statement;
  const everywhere = everywhereOf(statement);
  const makesTables = mayMakeTables(node, names);
  const referenced = referencedByLocal(node, names);
  const concernsCopies = referenced.length > 0 || mayReleaseCopies(node, names);
  const target = targetOf(node, names) ?? (everywhere === undefined && !makesTables && !concernsCopies ? undefined : nothing);
  if (target === undefined) return undefined;
  const found = target.names.flatMap((name) => tableNamed(names, name) ?? tablesDrawingFrom(names, name));
  const tables = [...new Set([...found, ...(target.tables ?? [])])];
  const reach = target.reach ?? 'named';
  if (everywhere === undefined && !makesTables && !concernsCopies && tables.length === 0 && (reach !== 'all' || names.snapshot.tables.size === 0)) return undefined;
  const detaching = concurrentDetach(statement);
  return { kind: 'definition', text: detaching ?? text, attached: attachedPartition(node, names), isAlone: detaching !== undefined, tables, reach, droppedSchemas: target.droppedSchemas ?? [], conversions: conversions(statement, tables[0]), addedConstraints: addedConstraints(node), makesTables, schemas: schemasOf(node), referenced, checksRows: 'AlterTableStmt' in node, disabledTriggers: disabledTriggers(node), code: undefined, everywhere };
}

/** What a statement is about. */
interface Target {
  /** Of tables or indexes. */
  readonly names: readonly WrittenName[];
  readonly tables?: readonly CatalogTable[];
  readonly reach?: DefinitionPlan['reach'];
  readonly droppedSchemas?: readonly string[];
}

/** One rule for each kind of statement. */
function targetOf(node: Node, names: RelationNames): Target | undefined {
  if ('AlterTableStmt' in node) return ofAlterTable(node.AlterTableStmt, names);
  if ('CreateStmt' in node) return ofPartition(node.CreateStmt);
  if ('IndexStmt' in node) return ofRelation(node.IndexStmt.relation);
  if ('AlterSeqStmt' in node) return ofRelation(node.AlterSeqStmt.sequence);
  if ('RenameStmt' in node && node.RenameStmt.renameType === 'OBJECT_SEQUENCE') return ofSequence(node.RenameStmt.relation);
  if ('AlterObjectSchemaStmt' in node && node.AlterObjectSchemaStmt.objectType === 'OBJECT_SEQUENCE') return ofSequence(node.AlterObjectSchemaStmt.relation);
  if ('RenameStmt' in node) return wide.has(node.RenameStmt.renameType) ? everything : ofRenamed(node.RenameStmt.relation, names);
  if ('AlterObjectSchemaStmt' in node) return wide.has(node.AlterObjectSchemaStmt.objectType) ? everything : ofRenamed(node.AlterObjectSchemaStmt.relation, names);
  if ('CreateTrigStmt' in node) return ofRelation(node.CreateTrigStmt.relation);
  if ('CreatePolicyStmt' in node) return ofRelation(node.CreatePolicyStmt.table);
  if ('AlterPolicyStmt' in node) return ofRelation(node.AlterPolicyStmt.table);
  if ('CreateStatsStmt' in node) return { names: (node.CreateStatsStmt.relations ?? []).flatMap((relation) => ('RangeVar' in relation ? [writtenName(relation.RangeVar)] : [])) };
  if ('AlterStatsStmt' in node) return everything;
  if ('DropStmt' in node) return ofDrop(node.DropStmt);
  if ('DropOwnedStmt' in node || 'ReassignOwnedStmt' in node) return everything;
  if ('CommentStmt' in node) return ofComment(node.CommentStmt);
  if ('GrantStmt' in node) return ofGrant(node.GrantStmt, names);
  if ('CreatePublicationStmt' in node) return node.CreatePublicationStmt.for_all_tables === true ? everything : ofPublished(node.CreatePublicationStmt.pubobjects, names);
  // SET takes out what is not named.
  if ('AlterPublicationStmt' in node) return node.AlterPublicationStmt.action === 'AP_SetObjects' ? everything : ofPublished(node.AlterPublicationStmt.pubobjects, names);
  return undefined;
}

const everything: Target = { names: [], reach: 'all' };
const nothing: Target = { names: [] };

/** Objects whose names do not tell the table. */
const wide: ReadonlySet<ObjectType | undefined> = new Set(['OBJECT_STATISTIC_EXT']);

/** CREATE TABLE … PARTITION OF is about the table that gets the partition. */
function ofPartition({ partbound, inhRelations = [] }: CreateStmt): Target | undefined {
  const parent = inhRelations[0];
  return partbound !== undefined && parent !== undefined && 'RangeVar' in parent ? ofRelation(parent.RangeVar) : undefined;
}

function ofRelation(relation: RangeVar | undefined): Target | undefined {
  return relation === undefined ? undefined : { names: [writtenName(relation)] };
}

/** Plans know the sequences of columns by name, and no definition shows that of an identity column. */
function ofSequence(sequence: RangeVar | undefined): Target | undefined {
  const target = ofRelation(sequence);
  return target === undefined ? undefined : { ...target, reach: 'connected' };
}

/** ALTER TABLE may name a sequence. */
function ofRenamed(relation: RangeVar | undefined, names: RelationNames): Target | undefined {
  if (relation === undefined) return undefined;
  const name = writtenName(relation);
  return tableNamed(names, name) === undefined && tablesDrawingFrom(names, name).length > 0 ? ofSequence(relation) : ofRelation(relation);
}

function ofAlterTable(alter: AlterTableStmt, names: RelationNames): Target | undefined {
  const { relation, cmds = [], objtype } = alter;
  if (objtype === 'OBJECT_TYPE') return undefined;
  const cascades = cmds.some((node) => 'AlterTableCmd' in node && node.AlterTableCmd.behavior === 'DROP_CASCADE');
  const target = ofRelation(relation);
  const attached = attachedPartition({ AlterTableStmt: alter }, names);
  return target === undefined ? undefined : { ...target, tables: attached === undefined ? [] : [attached], reach: cascades ? 'connected' : 'named' };
}

/** What is dropped with CASCADE may be a part of any table, such as a type. */
function ofDrop({ removeType, objects = [], behavior }: DropStmt): Target | undefined {
  const cascades = behavior === 'DROP_CASCADE';
  const parts = objects.flatMap((object) => [dottedName(object) ?? []]);
  switch (removeType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_INDEX':
      return { names: parts.map(nameOfParts), reach: cascades ? 'connected' : 'named' };
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
      return { names: parts.map((dotted) => nameOfParts(dotted.slice(0, -1))) };
    case 'OBJECT_STATISTIC_EXT':
    case 'OBJECT_PUBLICATION':
      return everything;
    case 'OBJECT_SCHEMA':
      return cascades ? { names: [], reach: 'schemas', droppedSchemas: objects.flatMap((object) => ('String' in object ? (object.String.sval ?? '') : [])) } : undefined;
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case undefined:
      return undefined;
    default:
      return cascades ? everything : undefined;
  }
}

function ofComment({ objtype, object }: CommentStmt): Target | undefined {
  const parts = dottedName(object);
  if (parts === undefined) return undefined;
  switch (objtype) {
    case 'OBJECT_TABLE':
    case 'OBJECT_INDEX':
      return { names: [nameOfParts(parts)] };
    case 'OBJECT_COLUMN':
    case 'OBJECT_TABCONSTRAINT':
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
      return { names: [nameOfParts(parts.slice(0, -1))] };
    case 'OBJECT_STATISTIC_EXT':
      return everything;
    default:
      return undefined;
  }
}

function ofGrant({ targtype, objtype, objects = [] }: GrantStmt, { snapshot }: RelationNames): Target | undefined {
  if (objtype !== 'OBJECT_TABLE') return undefined;
  if (targtype === 'ACL_TARGET_OBJECT') return { names: objects.flatMap((object) => ('RangeVar' in object ? [writtenName(object.RangeVar)] : [])) };
  if (targtype !== 'ACL_TARGET_ALL_IN_SCHEMA') return undefined;
  const schemas = objects.map((object) => ('String' in object ? (object.String.sval ?? '') : ''));
  return { names: [], tables: [...snapshot.tables.values()].filter(({ schema }) => schemas.includes(schema)) };
}

function ofPublished(objects: readonly Node[] = [], { snapshot, searchPath }: RelationNames): Target {
  const specs = objects.flatMap((object) => ('PublicationObjSpec' in object ? [object.PublicationObjSpec] : []));
  const schemas = specs.flatMap(({ pubobjtype, name = '' }) => (pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA' ? searchPath.slice(0, 1) : pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_SCHEMA' ? [name] : []));
  return {
    names: specs.flatMap(({ pubtable }) => (pubtable?.relation === undefined ? [] : [writtenName(pubtable.relation)])),
    tables: [...snapshot.tables.values()].filter(({ schema }) => schemas.includes(schema)),
  };
}

function conversions(statement: Statement, table: CatalogTable | undefined): ReadonlyMap<string, Conversion> {
  const { node } = statement;
  return 'AlterTableStmt' in node && table !== undefined ? conversionsOf(statement, node.AlterTableStmt, table) : new Map();
}

function disabledTriggers(node: Node): DefinitionPlan['disabledTriggers'] {
  const commands = 'AlterTableStmt' in node ? (node.AlterTableStmt.cmds ?? []) : [];
  const subtypes = commands.flatMap((command) => ('AlterTableCmd' in command ? [command.AlterTableCmd.subtype] : []));
  if (subtypes.includes('AT_DisableTrigAll')) return 'all';
  return subtypes.includes('AT_DisableTrigUser') ? 'user' : undefined;
}

function addedConstraints(node: Node): ReadonlySet<string> {
  const commands = 'AlterTableStmt' in node ? (node.AlterTableStmt.cmds ?? []) : [];
  return new Set(commands.flatMap((command) => {
    const definition = 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
    return definition !== undefined && 'Constraint' in definition ? [definition.Constraint.conname ?? ''] : [];
  }));
}
