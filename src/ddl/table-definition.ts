/** A column as its shards must have it. Texts of SQL are qualified for the search path `pg_catalog`. */
export interface ColumnDefinition {
  readonly name: string;
  readonly position: number;
  readonly type: string;
  /** The type without modifier: `character varying`. */
  readonly typeName: string;
  /** How many `[]` an array's type was written with. */
  readonly dimensions: number;
  readonly collation: string | null;
  readonly deterministic: boolean;
  /** False too while a NOT NULL constraint is not validated (PostgreSQL 18). */
  readonly notNull: boolean;
  /** Name of the NOT NULL constraint; null before PostgreSQL 18. */
  readonly notNullName: string | null;
  /** Whether the NOT NULL constraint is NO INHERIT (PostgreSQL 18). */
  readonly notNullNoInherit: boolean;
  /** ALWAYS or BY DEFAULT. */
  readonly identity: 'a' | 'd' | null;
  readonly generated: 'stored' | 'virtual' | null;
  /** Default or generation expression. */
  readonly expression: string | null;
  /** Of the expression's row in pg_attrdef: another one whenever it is set, the same when a column in it is renamed. */
  readonly expressionOid: number | null;
  /** Of the expression: immutable, stable or volatile, by their first letters. */
  readonly volatility: 'i' | 's' | 'v' | null;
  /** What rows that were there before the column have in it, as text; null where nobody wrote that down (see attmissingval). */
  readonly missing: string | null;
  /** Whether the expression draws from a sequence, which only the coordinator database has; identity columns do too. */
  readonly usesSequence: boolean;
  /** Null where it is that of the type. */
  readonly storage: string | null;
  readonly typeStorage: string;
  /** As pg_type.typtype: base type, composite, domain, enum, multirange, range, by their first letters. */
  readonly typeKind: 'b' | 'c' | 'd' | 'e' | 'm' | 'r';
  readonly compression: string | null;
  readonly statisticsTarget: number | null;
  /** As in pg_attribute.attoptions: `n_distinct=5`. */
  readonly options: readonly string[] | null;
  readonly grants: readonly Grant[] | null;
  readonly comment: string | null;
}

/** A privilege that somebody has. */
export interface Grant {
  /** A role; null for PUBLIC. */
  readonly grantee: string | null;
  /** `SELECT`, `INSERT` … */
  readonly privilege: string;
  readonly grantable: boolean;
}

export type ConstraintKind = 'check' | 'primary' | 'unique' | 'exclude' | 'foreign' | 'not_null';

export interface ConstraintDefinition {
  readonly oid: number;
  readonly name: string;
  readonly kind: ConstraintKind;
  /** What stands after the name: `CHECK (a > 0) NO INHERIT`. */
  readonly sql: string;
  readonly validated: boolean;
  /** Whether it came from a table that this one is a partition of. */
  readonly inherited: boolean;
  /** What can be altered: deferrable, deferred, enforced, inherited, each as `true` or `false`. */
  readonly flags: string;
  readonly deferrable: boolean;
  readonly deferred: boolean;
  /** Of a partitioned table's key, whose index is not valid, since a partition has none for it (ALTER TABLE ONLY … ADD). */
  readonly only: boolean;
  /** The index of a primary key, unique or exclusion constraint. */
  readonly indexOid: number | null;
  /** Positions of the constrained columns; 0 for an expression. */
  readonly columns: readonly number[] | null;
  /** Per column of an exclusion constraint, whether its operator is the equality of the type's hash or btree family. */
  readonly equalities: readonly boolean[] | null;
  readonly foreign: ForeignKey | null;
  readonly comment: string | null;
}

export type ForeignKeyAction = 'no_action' | 'restrict' | 'cascade' | 'set_null' | 'set_default';

export interface ForeignKey {
  readonly table: RelatedTable;
  /** The referenced columns' positions, in the order of the constraint's. */
  readonly columns: readonly number[];
  readonly onDelete: ForeignKeyAction;
  readonly onUpdate: ForeignKeyAction;
  /** Positions of the columns that ON DELETE SET NULL or SET DEFAULT names; null when it sets all. */
  readonly onDeleteColumns: readonly number[] | null;
}

/** Another table, and how it is distributed. */
export interface RelatedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** As the server writes it in a definition. */
  readonly sql: string;
  readonly distribution: Distribution | null;
}

export interface Distribution {
  readonly kind: 'distributed' | 'reference';
  readonly columnPosition: number | null;
  readonly columnName: string | null;
  readonly colocationId: number | null;
  /** In the order of the shard groups' ordinals. */
  readonly shardIds: readonly number[];
  /** Whether the table in the coordinator database has all rows, too. */
  readonly shellIsCopy: boolean;
}

export interface IndexDefinition {
  readonly oid: number;
  readonly name: string;
  readonly unique: boolean;
  /** False while CREATE INDEX CONCURRENTLY is at work, or after it has failed; of a partitioned table, while a partition has none for it (CREATE INDEX … ON ONLY). */
  readonly valid: boolean;
  /** Index of a primary key, unique or exclusion constraint, which makes it. */
  readonly ofConstraint: boolean;
  /** Whether it belongs to one of the table that this one is a partition of. */
  readonly inherited: boolean;
  /** If so, the name of that one. */
  readonly parent: string | null;
  /** Of a partitioned table's that is not valid: the indexes of partitions that belong to it (ALTER INDEX … ATTACH PARTITION). Null of any other. */
  readonly parts: readonly { readonly name: string; readonly table: RelatedTable }[] | null;
  readonly head: string;
  readonly sql: string;
  /** Positions of the key columns; 0 for an expression. */
  readonly columns: readonly number[];
  readonly clustered: boolean;
  readonly replicaIdentity: boolean;
  readonly tablespace: boolean;
  readonly options: readonly string[] | null;
  /** Statistics targets by place of the index column, from 1. */
  readonly statistics: readonly (readonly [place: number, target: number])[] | null;
  readonly comment: string | null;
}

/** A function of the user's that a policy or trigger calls. */
export interface CalledFunction {
  /** `public.f(integer)`. */
  readonly signature: string;
  /** `plpgsql`, `sql`. */
  readonly language: string;
  readonly source: string;
  /** CREATE OR REPLACE FUNCTION, whole; null for an aggregate. */
  readonly definition: string | null;
}

export interface PolicyDefinition {
  readonly oid: number;
  readonly name: string;
  /** What stands between the table and the expressions: `AS PERMISSIVE FOR ALL TO PUBLIC`. */
  readonly head: string;
  readonly roles: string;
  /** Those of them that are names, as SQL. */
  readonly roleNames: readonly string[] | null;
  readonly using: string | null;
  readonly check: string | null;
  /** Other tables that the expressions read. */
  readonly reads: readonly RelatedTable[] | null;
  /** Whether its subqueries read the table itself. */
  readonly readsItself: boolean;
  /** Functions in it that are not immutable, other than current_setting(). */
  readonly unsteady: readonly string[] | null;
  readonly functions: readonly CalledFunction[] | null;
  readonly comment: string | null;
}

export interface TriggerDefinition {
  readonly oid: number;
  readonly name: string;
  /** CREATE TRIGGER … */
  readonly sql: string;
  readonly enabled: 'O' | 'D' | 'R' | 'A';
  readonly perRow: boolean;
  readonly timing: 'before' | 'after';
  /** Whether it names transition tables, or another table (CREATE CONSTRAINT TRIGGER … FROM). */
  readonly seesMore: boolean;
  readonly function: CalledFunction;
  readonly comment: string | null;
}

/** CREATE STATISTICS */
export interface StatisticsDefinition {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `CREATE STATISTICS schema.name `, and then what stands before FROM and the table. */
  readonly head: string;
  readonly tail: string;
  readonly sql: string;
  readonly target: number | null;
  readonly comment: string | null;
}

/** That a table is in a publication. */
export interface PublicationEntry {
  /** Of the publication. */
  readonly oid: number;
  readonly name: string;
  /** Since the publication has all tables, or all of the schema. */
  readonly whole: boolean;
  /** Those that it has, quoted and separated by commas; null for all. */
  readonly columns: string | null;
  /** Of the rows that it has. */
  readonly where: string | null;
}

/**
 * All of a table in the coordinator database that its shards take over, or that keeps it from being distributed; or the same of a shard, as its node has it.
 */
export interface TableDefinition {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relkind. */
  readonly kind: string;
  /** pg_class.relpersistence. */
  readonly persistence: string;
  readonly system: boolean;
  readonly typed: boolean;
  readonly partition: boolean;
  /** Of a partition: what it is a partition of, and for which rows (`FOR VALUES IN (1)`, `DEFAULT`). */
  readonly partitionOf: { readonly table: RelatedTable; readonly bound: string } | null;
  /** Of a partitioned table: `RANGE (made)`. */
  readonly partitionKey: string | null;
  readonly inherits: boolean;
  readonly inherited: boolean;
  /** ENABLE and FORCE ROW LEVEL SECURITY. */
  readonly rowSecurity: boolean;
  readonly rowSecurityForced: boolean;
  readonly policies: readonly PolicyDefinition[] | null;
  /** Without those of a shell's fence. */
  readonly triggers: readonly TriggerDefinition[] | null;
  /** Of a partition: triggers of tables above that are not enabled as there. */
  readonly triggersUnlikeAbove: readonly string[] | null;
  /** Of a shell's fence: which triggers there are, and are enabled. */
  readonly fence: readonly string[] | null;
  readonly statistics: readonly StatisticsDefinition[] | null;
  /** In order of name; null for none. */
  readonly publications: readonly PublicationEntry[] | null;
  readonly rules: readonly string[] | null;
  readonly tablespace: boolean;
  readonly accessMethod: string | null;
  readonly options: readonly string[] | null;
  readonly toastOptions: readonly string[] | null;
  readonly replicaIdentity: 'd' | 'n' | 'f' | 'i';
  readonly owner: string;
  /** Whether the owner is the role that reads the definition. */
  readonly ownerReads: boolean;
  /** Roles that may use the schema, besides the one that reads; null when there are none, and for "public". */
  readonly schemaUsers: readonly string[] | null;
  /** The owner's own among them. */
  readonly grants: readonly Grant[] | null;
  readonly comment: string | null;
  readonly columns: readonly ColumnDefinition[];
  readonly constraints: readonly ConstraintDefinition[] | null;
  readonly indexes: readonly IndexDefinition[] | null;
  /** Foreign keys of other tables that refer to this one. */
  readonly referencedBy: readonly { readonly constraint: string; readonly table: RelatedTable }[] | null;
  readonly distribution: Distribution | null;
}
