import type { QueryResult } from 'pg';
import type { CommitPositions } from '../cluster/commit-positions.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import type { OwnWrites } from './own-writes.ts';
import { routed, routedBatches } from './routed-reads.ts';
import type { SeenPositions } from './seen-positions.ts';

/** How a statement outside of transaction blocks runs: by a route when it reads; with somebody to tell of its commits when it writes and one wants to know. */
export interface Routing {
  readonly reads?: ReadRoute | undefined;
  readonly committed?: CommitPositions | undefined;
  /** A replica has refused it, perhaps since a function of a query writes. */
  readonly readsMayWrite?: boolean | undefined;
}

export interface RoutedBy {
  /** Undefined for primaries. */
  readonly route: ReadRoute | undefined;
  /** Of what may read on replicas, only when it runs on primaries in the end. */
  readonly committed: CommitPositions | undefined;
  readonly writes: OwnWrites;
  readonly session?: SeenPositions | undefined;
  /** By which it was planned. */
  readonly catalogVersion: number;
}

/** Runs a statement, and gives its result the token of what it has committed. */
export function runRouted(by: RoutedBy, run: (routing: Routing) => Promise<QueryResult>): Promise<QueryResult> {
  return routed(by.route, (reads) => {
    const routing = routingOf(by, reads);
    return routing.committed === undefined ? run(routing) : run(routing).then((result) => by.writes.note(result, by));
  });
}

/** The same of one whose rows come in batches, or that gives no rows. */
export async function* routedRows<T>(by: RoutedBy, run: (routing: Routing) => AsyncIterable<T>): AsyncGenerator<T> {
  yield* routedBatches(by.route, (reads) => run(routingOf(by, reads)));
  await by.writes.keep(by);
}

function routingOf({ route, committed }: RoutedBy, reads: ReadRoute | undefined): Routing {
  return reads === undefined ? { committed, readsMayWrite: route !== undefined } : { reads };
}
