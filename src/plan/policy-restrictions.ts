import { analyzeSelect } from '../analyze/analyze-statement.ts';
import type { WriteCommand } from '../analyze/build-query.ts';
import type { ConstantSet } from '../analyze/constant-set.ts';
import { RelationNames } from '../analyze/relation-names.ts';
import type { CatalogSnapshot, DistributedTable } from '../catalog/catalog-snapshot.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { parseOne } from '../sql/parse.ts';
import { selectOf } from './staged/staged-state.ts';

/** A policy by which a use of a table is filtered, for the roles that are subject to it. */
export interface UsePolicy {
  readonly name: string;
  readonly permissive: boolean;
  /** Empty for PUBLIC. */
  readonly roles: readonly string[];
  /** Sets in which the distribution value of each row is that it lets through; empty where nothing is known. */
  readonly restrictions: readonly ConstantSet[];
}

/** What row security does to one use of a table. */
export interface UseSecurity {
  readonly table: string;
  readonly owner: string;
  readonly forced: boolean;
  readonly policies: readonly UsePolicy[];
}

/**
 * The policies that filter the rows which a statement reads of a table, or that it updates or deletes: others may apply as well, which hide more rows. Undefined without row
 * security, and where rows are inserted. A policy is looked into as a WHERE clause is: functions of the user's say nothing.
 */
export function useSecurity(table: DistributedTable, written: WriteCommand | undefined, snapshot: CatalogSnapshot): UseSecurity | undefined {
  if (table.security === undefined || written === 'insert' || written === 'merge') return undefined;
  const command = written ?? 'select';
  const { owner, forced } = table.security;
  const policies = table.security.policies.filter((policy) => policy.command === 'all' || policy.command === command);
  return {
    table: table.name, owner, forced,
    policies: policies.map(({ name, permissive, roles, using }) => ({ name, permissive, roles, restrictions: using === undefined ? [] : restrictionsOf(table, using, snapshot) })),
  };
}

function restrictionsOf({ schema, name }: DistributedTable, using: string, snapshot: CatalogSnapshot): readonly ConstantSet[] {
  const select = selectOf(parseOne(`SELECT FROM ${quoteQualified(schema, name)} WHERE ${using}`));
  const { uses, restrictions } = analyzeSelect(select, new RelationNames(snapshot, []));
  const use = uses[0];
  return (use === undefined ? undefined : restrictions.get(use)) ?? [];
}
