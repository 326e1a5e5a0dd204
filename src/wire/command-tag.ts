import type { Node, ObjectType } from '@pgsql/types';

/** What a server says at the end of a statement: `SELECT 5`, `CREATE TABLE`. `command` and `rowCount` as pg has them. */
export function commandTag(node: Node, { command, rowCount }: { readonly command: string; readonly rowCount: number | null | undefined }): string {
  const utility = utilityTag(node);
  if (utility !== undefined && !(command === 'SELECT' && typeof rowCount === 'number')) return utility;
  if (command === 'INSERT') return `INSERT 0 ${rowCount ?? 0}`;
  return typeof rowCount === 'number' ? `${command} ${rowCount}` : command;
}

/** Words as PostgreSQL's own (tcop/utility.c); undefined where the tag has a number, or only the server knows it. */
function utilityTag(node: Node): string | undefined {
  const kind = Object.keys(node)[0] ?? '';
  const plain = plainTags[kind];
  if (plain !== undefined) return plain;
  if ('CreateTableAsStmt' in node) return node.CreateTableAsStmt.objtype === 'OBJECT_MATVIEW' ? 'CREATE MATERIALIZED VIEW' : 'CREATE TABLE AS';
  if ('CreateRoleStmt' in node) return 'CREATE ROLE';
  if ('DropStmt' in node) return `DROP ${objectWords(node.DropStmt.removeType)}`;
  if ('RenameStmt' in node) return `ALTER ${objectWords(node.RenameStmt.renameType === 'OBJECT_COLUMN' ? node.RenameStmt.relationType ?? 'OBJECT_TABLE' : node.RenameStmt.renameType)}`;
  if ('AlterTableMoveAllStmt' in node) return `ALTER ${objectWords(node.AlterTableMoveAllStmt.objtype)}`;
  if ('AlterTableStmt' in node) return `ALTER ${objectWords(node.AlterTableStmt.objtype)}`;
  if ('AlterObjectSchemaStmt' in node) return `ALTER ${objectWords(node.AlterObjectSchemaStmt.objectType)}`;
  if ('AlterOwnerStmt' in node) return `ALTER ${objectWords(node.AlterOwnerStmt.objectType)}`;
  if ('AlterObjectDependsStmt' in node) return `ALTER ${objectWords(node.AlterObjectDependsStmt.objectType)}`;
  if ('DefineStmt' in node) return `CREATE ${objectWords(node.DefineStmt.kind)}`;
  if ('CreateFunctionStmt' in node) return node.CreateFunctionStmt.is_procedure === true ? 'CREATE PROCEDURE' : 'CREATE FUNCTION';
  if ('AlterFunctionStmt' in node) return `ALTER ${objectWords(node.AlterFunctionStmt.objtype)}`;
  if ('GrantStmt' in node) return node.GrantStmt.is_grant === true ? 'GRANT' : 'REVOKE';
  if ('GrantRoleStmt' in node) return node.GrantRoleStmt.is_grant === true ? 'GRANT ROLE' : 'REVOKE ROLE';
  if ('VacuumStmt' in node) return node.VacuumStmt.is_vacuumcmd === true ? 'VACUUM' : 'ANALYZE';
  if ('VariableSetStmt' in node) return node.VariableSetStmt.kind === 'VAR_RESET' || node.VariableSetStmt.kind === 'VAR_RESET_ALL' ? 'RESET' : 'SET';
  if ('DeallocateStmt' in node) return node.DeallocateStmt.name === undefined ? 'DEALLOCATE ALL' : 'DEALLOCATE';
  if ('ClosePortalStmt' in node) return node.ClosePortalStmt.portalname === undefined ? 'CLOSE CURSOR ALL' : 'CLOSE CURSOR';
  if ('DiscardStmt' in node) return `DISCARD ${discarded[node.DiscardStmt.target ?? ''] ?? 'ALL'}`;
  if ('TransactionStmt' in node) return transactionTags[node.TransactionStmt.kind ?? ''];
  return undefined;
}

function objectWords(type: ObjectType | undefined): string {
  return objects[type ?? ''] ?? (type ?? 'OBJECT_TABLE').replace(/^OBJECT_/, '').replaceAll('_', ' ');
}

const objects: Readonly<Record<string, string>> = {
  OBJECT_MATVIEW: 'MATERIALIZED VIEW', OBJECT_FDW: 'FOREIGN DATA WRAPPER', OBJECT_FOREIGN_SERVER: 'SERVER', OBJECT_TSCONFIGURATION: 'TEXT SEARCH CONFIGURATION', OBJECT_TSDICTIONARY: 'TEXT SEARCH DICTIONARY',
  OBJECT_TSPARSER: 'TEXT SEARCH PARSER', OBJECT_TSTEMPLATE: 'TEXT SEARCH TEMPLATE', OBJECT_OPCLASS: 'OPERATOR CLASS', OBJECT_OPFAMILY: 'OPERATOR FAMILY', OBJECT_STATISTIC_EXT: 'STATISTICS',
  OBJECT_DOMCONSTRAINT: 'DOMAIN', OBJECT_ATTRIBUTE: 'TYPE', OBJECT_LARGEOBJECT: 'LARGE OBJECT', OBJECT_TABCONSTRAINT: 'TABLE', OBJECT_COLUMN: 'TABLE', OBJECT_PUBLICATION_REL: 'PUBLICATION',
};

const discarded: Readonly<Record<string, string>> = { DISCARD_ALL: 'ALL', DISCARD_PLANS: 'PLANS', DISCARD_SEQUENCES: 'SEQUENCES', DISCARD_TEMP: 'TEMP' };

/** COMMIT of a failed transaction is a ROLLBACK, which only the session knows. */
const transactionTags: Readonly<Record<string, string | undefined>> = {
  TRANS_STMT_BEGIN: 'BEGIN', TRANS_STMT_START: 'START TRANSACTION', TRANS_STMT_SAVEPOINT: 'SAVEPOINT', TRANS_STMT_RELEASE: 'RELEASE', TRANS_STMT_ROLLBACK_TO: 'ROLLBACK', TRANS_STMT_ROLLBACK: 'ROLLBACK',
};

const plainTags: Readonly<Record<string, string | undefined>> = {
  CreateStmt: 'CREATE TABLE', IndexStmt: 'CREATE INDEX', ViewStmt: 'CREATE VIEW', CreateSchemaStmt: 'CREATE SCHEMA', CreateSeqStmt: 'CREATE SEQUENCE', AlterSeqStmt: 'ALTER SEQUENCE', CreateEnumStmt: 'CREATE TYPE',
  CreateRangeStmt: 'CREATE TYPE', CompositeTypeStmt: 'CREATE TYPE', AlterEnumStmt: 'ALTER TYPE', AlterTypeStmt: 'ALTER TYPE', CreateDomainStmt: 'CREATE DOMAIN', AlterDomainStmt: 'ALTER DOMAIN', CreateTrigStmt: 'CREATE TRIGGER',
  CreateEventTrigStmt: 'CREATE EVENT TRIGGER', AlterEventTrigStmt: 'ALTER EVENT TRIGGER', CreatePolicyStmt: 'CREATE POLICY', AlterPolicyStmt: 'ALTER POLICY', CreateExtensionStmt: 'CREATE EXTENSION',
  AlterExtensionStmt: 'ALTER EXTENSION', AlterExtensionContentsStmt: 'ALTER EXTENSION', CreateStatsStmt: 'CREATE STATISTICS', AlterStatsStmt: 'ALTER STATISTICS', CommentStmt: 'COMMENT', SecLabelStmt: 'SECURITY LABEL',
  TruncateStmt: 'TRUNCATE TABLE', LockStmt: 'LOCK TABLE', ClusterStmt: 'CLUSTER', ReindexStmt: 'REINDEX', CheckPointStmt: 'CHECKPOINT', DoStmt: 'DO', CallStmt: 'CALL', ListenStmt: 'LISTEN', UnlistenStmt: 'UNLISTEN',
  NotifyStmt: 'NOTIFY', LoadStmt: 'LOAD', PrepareStmt: 'PREPARE', DeclareCursorStmt: 'DECLARE CURSOR', ConstraintsSetStmt: 'SET CONSTRAINTS', VariableShowStmt: 'SHOW', ExplainStmt: 'EXPLAIN', RuleStmt: 'CREATE RULE',
  CreateCastStmt: 'CREATE CAST', CreateConversionStmt: 'CREATE CONVERSION', CreateOpClassStmt: 'CREATE OPERATOR CLASS', CreateOpFamilyStmt: 'CREATE OPERATOR FAMILY', AlterOpFamilyStmt: 'ALTER OPERATOR FAMILY',
  AlterOperatorStmt: 'ALTER OPERATOR', CreateTransformStmt: 'CREATE TRANSFORM', CreatePLangStmt: 'CREATE LANGUAGE', CreateAmStmt: 'CREATE ACCESS METHOD', CreateFdwStmt: 'CREATE FOREIGN DATA WRAPPER',
  AlterFdwStmt: 'ALTER FOREIGN DATA WRAPPER', CreateForeignServerStmt: 'CREATE SERVER', AlterForeignServerStmt: 'ALTER SERVER', CreateForeignTableStmt: 'CREATE FOREIGN TABLE', CreateUserMappingStmt: 'CREATE USER MAPPING',
  AlterUserMappingStmt: 'ALTER USER MAPPING', DropUserMappingStmt: 'DROP USER MAPPING', ImportForeignSchemaStmt: 'IMPORT FOREIGN SCHEMA', AlterRoleStmt: 'ALTER ROLE', AlterRoleSetStmt: 'ALTER ROLE', DropRoleStmt: 'DROP ROLE',
  DropOwnedStmt: 'DROP OWNED', ReassignOwnedStmt: 'REASSIGN OWNED', CreatedbStmt: 'CREATE DATABASE', DropdbStmt: 'DROP DATABASE', AlterDatabaseStmt: 'ALTER DATABASE', AlterDatabaseSetStmt: 'ALTER DATABASE', AlterDatabaseRefreshCollStmt: 'ALTER DATABASE',
  AlterSystemStmt: 'ALTER SYSTEM', CreateTableSpaceStmt: 'CREATE TABLESPACE', DropTableSpaceStmt: 'DROP TABLESPACE', AlterTableSpaceOptionsStmt: 'ALTER TABLESPACE', AlterDefaultPrivilegesStmt: 'ALTER DEFAULT PRIVILEGES',
  CreatePublicationStmt: 'CREATE PUBLICATION', AlterPublicationStmt: 'ALTER PUBLICATION', CreateSubscriptionStmt: 'CREATE SUBSCRIPTION', AlterSubscriptionStmt: 'ALTER SUBSCRIPTION', DropSubscriptionStmt: 'DROP SUBSCRIPTION',
  RefreshMatViewStmt: 'REFRESH MATERIALIZED VIEW', AlterCollationStmt: 'ALTER COLLATION', AlterTSDictionaryStmt: 'ALTER TEXT SEARCH DICTIONARY', AlterTSConfigurationStmt: 'ALTER TEXT SEARCH CONFIGURATION',
};
