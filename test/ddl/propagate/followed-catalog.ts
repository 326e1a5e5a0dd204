import { present } from '../../../src/base/assert.ts';
import type { CatalogSnapshot } from '../../../src/catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../../src/catalog/coordinator-node.ts';
import { openNodeConnections } from '../../../src/cluster/open-node-connections.ts';
import { loadSnapshot } from '../../../src/store/load-snapshot.ts';

/** The catalog as a process has it that reads, of each version, what has changed. */
export interface FollowedCatalog extends AsyncDisposable {
  /** Goes to the newest version. */
  follow(): Promise<void>;
  /** As it was followed, and as one sees it who reads all of it. Whoever comes next starts from there. */
  both(): Promise<readonly [followed: CatalogSnapshot, whole: CatalogSnapshot]>;
}

export async function followCatalog(connectionString: string): Promise<FollowedCatalog> {
  const coordinator = openNodeConnections({ id: coordinatorNodeId, name: 'coordinator' }, { client: { connectionString } });
  let known = await loadSnapshot(coordinator);
  const follow = async (): Promise<void> => {
    const { rows } = await coordinator.query({ text: 'SELECT catalog_version FROM shardwright.cluster' });
    if (Number(present(rows[0])[0]) > known.version) known = await loadSnapshot(coordinator, { known });
  };
  const both = async (): Promise<readonly [CatalogSnapshot, CatalogSnapshot]> => {
    await follow();
    const followed = known;
    known = await loadSnapshot(coordinator);
    return [followed, known];
  };
  return { follow, both, [Symbol.asyncDispose]: () => coordinator.end() };
}
