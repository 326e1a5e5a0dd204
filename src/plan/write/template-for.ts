import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { shardTemplate, writeTemplate } from '../shard-template.ts';

/**
 * How the statement for a target is cut: where its shards are, a node takes values of sequences out of blocks. The coordinator database, which writes local tables (`undefined`), has the sequences; and each copy of a reference table would have values
 * of its own, which its caller has refused.
 */
export function templateFor(target: CatalogTable | undefined): typeof shardTemplate {
  return target?.kind === 'distributed' ? writeTemplate : shardTemplate;
}
