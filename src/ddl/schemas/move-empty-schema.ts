import { ClusterError } from '../../base/errors.ts';
import type { NodeId, ShardGroupId } from '../../catalog/ids.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { moveEmptyGroup } from '../../store/distributed-schemas.ts';
import { changeCatalog } from '../change-catalog.ts';
import type { DdlContext } from '../ddl-context.ts';

interface Wish {
  readonly group: ShardGroupId;
  readonly from: NodeId;
  readonly to: NodeId;
}

/** A schema without tables comes to another node by being written down there. `moveRefused` when it has got tables, or was moved, meanwhile. */
export async function moveEmptySchema(context: DdlContext, wish: Wish, { signal }: CallOptions): Promise<void> {
  await changeCatalog(context, {
    signal,
    lockFirst: () => Promise.resolve(),
    body: async (change) => {
      if (await moveEmptyGroup(change, wish)) return;
      throw new ClusterError('moveRefused', `shard group ${wish.group} is not empty any more, or is elsewhere`, { hint: 'Try it again.' });
    },
  });
}
