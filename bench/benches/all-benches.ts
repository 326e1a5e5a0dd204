import type { Bench } from '../harness/bench.ts';
import { aggregate } from './aggregate.ts';
import { boot } from './boot.ts';
import { connections } from './connections.ts';
import { copyIn } from './copy-in.ts';
import { copyOut } from './copy-out.ts';
import { droppedNode } from './dropped-node.ts';
import { distribute } from './distribute.ts';
import { idleMemory } from './idle-memory.ts';
import { insert } from './insert.ts';
import { lookup } from './lookup.ts';
import { move } from './move.ts';
import { plan } from './plan.ts';
import { pointRead } from './point-read.ts';
import { recovery } from './recovery.ts';
import { stream } from './stream.ts';
import { tenantJoin } from './tenant-join.ts';
import { transactions } from './transactions.ts';
import { tpch, tpchReference } from './tpch.ts';
import { wire } from './wire.ts';

/** In the order in which they run. */
export const allBenches: readonly Bench[] = [
  pointRead, lookup, insert, tenantJoin, transactions, aggregate, connections, copyIn, copyOut, stream, plan, idleMemory, distribute, boot, recovery, move, droppedNode, wire, tpch, tpchReference,
];

/** Names for several benches together. */
export const benchGroups: Readonly<Record<string, readonly Bench[]>> = { analytics: [tpch, tpchReference] };

/** The benches of these names and groups, in the order in which they run. Without names those of the multi-tenant tables, so that a quick run stays below its 50 seconds. */
export function selectBenches(names: readonly string[]): readonly Bench[] {
  if (names.length === 0) return allBenches.filter((bench) => bench.ownTables !== true);
  return allBenches.filter((bench) => names.some((name) => name === bench.name || benchGroups[name]?.includes(bench) === true));
}
