import { Pool } from 'pg';

/** What pg.Pool and Cluster have in common. */
export type Queryable = Pick<Pool, 'query'>;

/** A client of a pool, for transactions. */
export interface Connected extends Queryable {
  release(): void;
}

export interface Connectable extends Queryable {
  connect(): Promise<Connected>;
}

/** One of the two systems measured. Both are used through pg's own interface. */
export interface Side {
  readonly kind: 'plain' | 'cluster';
  readonly connectionString: string;
  /** The pool for so many concurrent clients. Plain: a `Pool` with that `max`. Cluster: always the one cluster. */
  pool(clients: number): Connectable;
  /** Ends the pools. */
  end(): Promise<void>;
}

/** One plain PostgreSQL, with a pool per number of clients, made when first asked for. */
export function plainSide(connectionString: string): Side {
  const pools = new Map<number, Pool>();
  const makePool = (clients: number): Pool => {
    const pool = new Pool({ connectionString, max: clients, idleTimeoutMillis: 0 });
    pools.set(clients, pool);
    return pool;
  };
  return {
    kind: 'plain',
    connectionString,
    pool: (clients) => pools.get(clients) ?? makePool(clients),
    end: async () => {
      await Promise.all([...pools.values()].map((pool) => pool.end()));
    },
  };
}

/** The cluster, which one object serves at any number of clients. Ending it is its owner's affair. */
export function clusterSide(connectionString: string, cluster: Connectable): Side {
  return { kind: 'cluster', connectionString, pool: () => cluster, end: () => Promise.resolve() };
}
