import type { RangeVar } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { refused } from '../insert/refused.ts';

export function checkNoView({ schemaname, relname }: RangeVar, names: RelationNames): void {
  if (names.dependentView(schemaname, relname ?? '') === undefined) return;
  throw refused(`View "${relname ?? ''}" over distributed or reference tables is written to.`, 'Write to the tables themselves.');
}
