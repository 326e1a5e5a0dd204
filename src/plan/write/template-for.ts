import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { shardTemplate, writeTemplate } from '../shard-template.ts';

/**
 * How the statement for a target is cut: where its shards are, or the first of its copies, a node takes values of sequences out of blocks. The coordinator database, which writes local tables (`undefined`), has the sequences.
 */
export function templateFor(target: CatalogTable | undefined): typeof shardTemplate {
  return target === undefined ? shardTemplate : writeTemplate;
}
