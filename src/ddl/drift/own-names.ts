import { quoteQualified } from '../../sql/identifiers.ts';
import { ShardNames } from '../shard-names.ts';
import type { RelatedTable } from '../table-definition.ts';

/** The names that a shard and its parts have themselves, whatever they should be. */
export class OwnNames extends ShardNames {
  override called(name: string): string {
    return name;
  }

  override referenced({ schema, name }: RelatedTable): string {
    return quoteQualified(schema, name);
  }

  override knows(): boolean {
    return true;
  }
}
