import type { Bench } from '../harness/bench.ts';
import { aggregate } from './aggregate.ts';
import { connections } from './connections.ts';
import { copyIn } from './copy-in.ts';
import { copyOut } from './copy-out.ts';
import { idleMemory } from './idle-memory.ts';
import { insert } from './insert.ts';
import { lookup } from './lookup.ts';
import { plan } from './plan.ts';
import { pointRead } from './point-read.ts';
import { stream } from './stream.ts';
import { tenantJoin } from './tenant-join.ts';

/** In the order in which they run. */
export const allBenches: readonly Bench[] = [pointRead, lookup, insert, tenantJoin, aggregate, connections, copyIn, copyOut, stream, plan, idleMemory];
