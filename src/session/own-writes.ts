import { AsyncLocalStorage } from 'node:async_hooks';
import { CommitPositions } from '../cluster/commit-positions.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { ReadTokens } from '../ha/read-token.ts';
import { SeenPositions } from './seen-positions.ts';

/** What work that reads its own writes is given. */
export interface ReadYourWrites {
  /** Stands for all that has been written in it so far, and for the token that it began with; undefined while there is neither. */
  readonly readToken: string | undefined;
}

/** A result, of what has written, beside what pg knows. */
export interface WithReadToken {
  /** Stands for what is committed by the statement: a query that is given it as its `token` sees that. Only where tokens are collected, and a node that was written to has replicas. */
  readonly readToken?: string | undefined;
}

/** What a statement or transaction has committed, and by which catalog. */
interface Committed {
  readonly committed: CommitPositions | undefined;
  /** Its session. */
  readonly session?: SeenPositions | undefined;
  readonly catalogVersion: number;
}

interface OwnWritesOptions {
  /** Whether tokens are collected everywhere. */
  readonly always: boolean;
  readonly secret: string | undefined;
}

/** Which statements collect the positions of what they write, and who must see that. One for a cluster object. */
export class OwnWrites {
  readonly tokens: ReadTokens;
  readonly #scopes = new AsyncLocalStorage<SeenPositions>();

  constructor(private readonly options: OwnWritesOptions) {
    this.tokens = new ReadTokens(options.secret);
  }

  /** Runs work whose reads see its writes, also behind awaits. */
  within<T>(work: (own: ReadYourWrites) => T, token: string | undefined): T {
    const seen = new SeenPositions(this.#scopes.getStore());
    if (token !== undefined) seen.begin(this.tokens.parse(token));
    const format = (): string | undefined => this.text(seen);
    return this.#scopes.run(seen, () => work({ get readToken() { return format(); } }));
  }

  text(seen: SeenPositions): string | undefined {
    return seen.isEmpty ? undefined : this.tokens.format(seen.token);
  }

  /** What the work that is running must see. */
  get scope(): SeenPositions | undefined {
    return this.#scopes.getStore();
  }

  /** For a statement that may write; undefined where nobody wants to know. `reads`: its session reads on replicas. */
  collect(pools: NodePools, reads = false): CommitPositions | undefined {
    const isWanted = (this.options.always || reads || this.scope !== undefined) && pools.failsOver === true;
    return isWanted ? new CommitPositions(pools) : undefined;
  }

  /** When a statement is done: who must see what it has written is told of it. Resolves to the token of that; undefined where there is nothing. */
  async keep({ committed, session, catalogVersion }: Committed): Promise<string | undefined> {
    const positions = await committed?.complete();
    if (positions === undefined || positions.size === 0) return undefined;
    this.scope?.add({ positions, catalogVersion });
    session?.add({ positions, catalogVersion });
    return this.tokens.format({ positions, catalogVersion });
  }

  /** The same, and its result has the token. */
  async note<R extends object>(result: R, committed: Committed): Promise<R & WithReadToken> {
    const readToken = await this.keep(committed);
    return readToken === undefined ? result : Object.assign(result, { readToken });
  }
}
