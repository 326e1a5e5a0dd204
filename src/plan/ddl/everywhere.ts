import type { DefineStmt, DropStmt, Node, ObjectType } from '@pgsql/types';
import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import { nameParts } from '../../sql/ast.ts';
import { deparseChecked } from '../../sql/deparse.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import { scanTokens } from '../../sql/scan.ts';
import { nameOfParts, type WrittenName } from './named-objects.ts';

/** What the nodes run as the coordinator database does, since it is about objects that tables, queries and sessions need where they are. */
export interface Everywhere {
  /** Roles are of a server, which may have the databases of several nodes; all else is of a database. */
  readonly scope: ObjectScope;
  /** What a node runs: the statement as it is, but for what only the coordinator database has. */
  readonly text: string;
  /** Functions that it is about: they stay in the coordinator database where they are bound to tables that are there alone. */
  readonly functions: readonly WrittenName[];
  /** The password of a role, where the statement gives one. */
  readonly password?: PasswordText | undefined;
}

/** Where a password is written, and what it is. */
export interface PasswordText {
  readonly start: number;
  readonly end: number;
  readonly value: string;
}

export type ObjectScope = 'database' | 'server';

/** Of a statement about types, functions, roles and other objects beside tables; undefined for any other, and for temporary objects, which are a session's. */
export function everywhereOf(statement: Statement): Everywhere | undefined {
  const { node } = statement;
  const scope = scopeOf(node);
  if (scope === undefined || createdName(node)[0] === 'pg_temp') return undefined;
  return { scope, text: nodeText(statement), functions: functionsIn(node).map(nameOfParts), password: passwordIn(statement) };
}

function scopeOf(node: Node): ObjectScope | undefined {
  const kind = Object.keys(node)[0] ?? '';
  if ('AlterRoleSetStmt' in node) return node.AlterRoleSetStmt.database === undefined ? 'server' : undefined;
  if (ofServers.has(kind)) return 'server';
  if (ofDatabases.has(kind) || ('AlterPublicationStmt' in node && node.AlterPublicationStmt.options !== undefined)) return 'database';
  const type = typeIn(node);
  if (type === 'OBJECT_ROLE') return 'server';
  return type !== undefined && objectTypes.has(type) ? 'database' : undefined;
}

/** The sort of objects that a statement for many sorts is about. */
function typeIn(node: Node): ObjectType | undefined {
  if ('AlterTableStmt' in node) return node.AlterTableStmt.objtype === 'OBJECT_TYPE' ? 'OBJECT_TYPE' : undefined;
  if ('RenameStmt' in node) return node.RenameStmt.renameType;
  if ('AlterObjectSchemaStmt' in node) return node.AlterObjectSchemaStmt.objectType;
  if ('AlterOwnerStmt' in node) return node.AlterOwnerStmt.objectType;
  if ('AlterObjectDependsStmt' in node) return node.AlterObjectDependsStmt.objectType;
  if ('DropStmt' in node) return node.DropStmt.removeType;
  if ('CommentStmt' in node) return node.CommentStmt.objtype;
  if ('GrantStmt' in node) return node.GrantStmt.objtype;
  // Those of tables and sequences stay: shards have the privileges of their shells.
  return 'AlterDefaultPrivilegesStmt' in node ? node.AlterDefaultPrivilegesStmt.action?.objtype : undefined;
}

const ofServers: ReadonlySet<string> = new Set(['CreateRoleStmt', 'AlterRoleStmt', 'DropRoleStmt', 'GrantRoleStmt']);

const ofDatabases: ReadonlySet<string> = new Set([
  'CreateSchemaStmt', 'CreateEnumStmt', 'AlterEnumStmt', 'CompositeTypeStmt', 'CreateRangeStmt', 'AlterTypeStmt', 'CreateDomainStmt', 'AlterDomainStmt',
  'DefineStmt', 'CreateFunctionStmt', 'AlterFunctionStmt', 'CreateCastStmt', 'CreateOpClassStmt', 'CreateOpFamilyStmt', 'AlterOpFamilyStmt', 'AlterOperatorStmt',
  'AlterCollationStmt', 'AlterTSDictionaryStmt', 'AlterTSConfigurationStmt', 'CreateExtensionStmt', 'AlterExtensionStmt', 'AlterExtensionContentsStmt',
  'CreateConversionStmt', 'CreateTransformStmt', 'CreatePLangStmt', 'CreateAmStmt', 'DropOwnedStmt', 'ReassignOwnedStmt',
]);

const objectTypes: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_SCHEMA', 'OBJECT_TYPE', 'OBJECT_ATTRIBUTE', 'OBJECT_DOMAIN', 'OBJECT_DOMCONSTRAINT', 'OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE', 'OBJECT_AGGREGATE',
  'OBJECT_OPERATOR', 'OBJECT_OPCLASS', 'OBJECT_OPFAMILY', 'OBJECT_CAST', 'OBJECT_COLLATION', 'OBJECT_CONVERSION', 'OBJECT_TSCONFIGURATION', 'OBJECT_TSDICTIONARY',
  'OBJECT_TSPARSER', 'OBJECT_TSTEMPLATE', 'OBJECT_EXTENSION', 'OBJECT_TRANSFORM', 'OBJECT_LANGUAGE', 'OBJECT_ACCESS_METHOD', 'OBJECT_PUBLICATION',
]);

function passwordIn({ node, text }: Statement): PasswordText | undefined {
  const options = 'CreateRoleStmt' in node ? node.CreateRoleStmt.options : 'AlterRoleStmt' in node ? node.AlterRoleStmt.options : undefined;
  const option = options?.find((one) => 'DefElem' in one && one.DefElem.defname === 'password');
  const value = option !== undefined && 'DefElem' in option && option.DefElem.arg !== undefined && 'String' in option.DefElem.arg ? option.DefElem.arg.String.sval : undefined;
  if (value === undefined) return undefined;
  const tokens = scanTokens(text);
  const literal = tokens.find((token, i) => /^password$/i.test(tokens[i - 1]?.text ?? '') && /^e?'/i.test(token.text));
  return literal === undefined ? undefined : { start: literal.start, end: literal.end, value };
}

/** The dotted name of what is created. */
function createdName(node: Node): string[] {
  if ('CompositeTypeStmt' in node) return [node.CompositeTypeStmt.typevar?.schemaname ?? ''];
  if ('CreateEnumStmt' in node) return nameParts(node.CreateEnumStmt.typeName);
  if ('CreateRangeStmt' in node) return nameParts(node.CreateRangeStmt.typeName);
  if ('CreateDomainStmt' in node) return nameParts(node.CreateDomainStmt.domainname);
  if ('CreateFunctionStmt' in node) return nameParts(node.CreateFunctionStmt.funcname);
  return 'DefineStmt' in node ? nameParts(node.DefineStmt.defnames) : [];
}

const functionTypes: ReadonlySet<ObjectType | undefined> = new Set<ObjectType>(['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE', 'OBJECT_AGGREGATE']);

function functionsIn(node: Node): string[][] {
  if ('CreateFunctionStmt' in node) return [nameParts(node.CreateFunctionStmt.funcname)];
  if ('DefineStmt' in node) return isAggregate(node.DefineStmt) ? [nameParts(node.DefineStmt.defnames)] : [];
  if ('AlterFunctionStmt' in node) return [nameParts(node.AlterFunctionStmt.func?.objname)];
  if (!functionTypes.has(typeIn(node))) return [];
  return functionObjects(node).flatMap((object) => ('ObjectWithArgs' in object ? [nameParts(object.ObjectWithArgs.objname)] : []));
}

function isAggregate({ kind }: DefineStmt): boolean {
  return kind === 'OBJECT_AGGREGATE';
}

/** DROP needs none: a node drops what it has of them. */
function functionObjects(node: Node): readonly Node[] {
  if ('GrantStmt' in node) return node.GrantStmt.objects ?? [];
  const holder = 'RenameStmt' in node ? node.RenameStmt : 'AlterObjectSchemaStmt' in node ? node.AlterObjectSchemaStmt : 'AlterOwnerStmt' in node ? node.AlterOwnerStmt
    : 'CommentStmt' in node ? node.CommentStmt : 'AlterObjectDependsStmt' in node ? node.AlterObjectDependsStmt : undefined;
  return holder?.object === undefined ? [] : [holder.object];
}

function nodeText(statement: Statement): string {
  const { node, text } = statement;
  if ('DropStmt' in node && node.DropStmt.missing_ok !== true) return ifExists(text, node.DropStmt);
  const publication = publicationIn(node);
  if (publication !== undefined) return ifPublished(publication, text);
  if (!('CreateSchemaStmt' in node) || node.CreateSchemaStmt.schemaElts === undefined) return text;
  // Its tables are local ones.
  const { schemaElts: _elements, ...bare } = node.CreateSchemaStmt;
  const schema = deparseChecked({ CreateSchemaStmt: bare });
  if (schema === undefined) throw new ClusterError('unsupportedDdl', 'this CREATE SCHEMA cannot be carried to the nodes', { hint: 'Create its elements in statements of their own.' });
  return schema.text;
}

/** That is changed. */
function publicationIn(node: Node): string | undefined {
  if ('AlterPublicationStmt' in node) return node.AlterPublicationStmt.pubname;
  if (typeIn(node) !== 'OBJECT_PUBLICATION') return undefined;
  const object = 'RenameStmt' in node ? node.RenameStmt.object : 'AlterOwnerStmt' in node ? node.AlterOwnerStmt.object : 'CommentStmt' in node ? node.CommentStmt.object : undefined;
  return object !== undefined && 'String' in object ? object.String.sval : undefined;
}

/** A node has a publication from its first distributed table on, then as it is in the coordinator database. */
function ifPublished(publication: string, text: string): string {
  return `DO ${quoteLiteral(`BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = ${quoteLiteral(publication)}) THEN ${text}; END IF; END`)}`;
}

/** The coordinator database has had what was dropped. A node need not: what is bound to local tables it has not. */
function ifExists(text: string, { removeType }: DropStmt): string {
  const words = removeType?.startsWith('OBJECT_TS') === true ? 3 : removeType !== undefined && twoWords.has(removeType) ? 2 : 1;
  const { end } = at(scanTokens(text), words);
  return `${text.slice(0, end)} IF EXISTS${text.slice(end)}`;
}

const twoWords: ReadonlySet<ObjectType> = new Set<ObjectType>(['OBJECT_OPCLASS', 'OBJECT_OPFAMILY', 'OBJECT_ACCESS_METHOD']);
