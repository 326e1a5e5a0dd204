import type { NodeId } from '../catalog/ids.ts';
import { laterPosition, type LogPosition } from '../cluster/log-position.ts';
import type { ReadToken } from '../ha/read-token.ts';

/** What a reader must see: grows only. Inside of another what is added is added there, too, and what that has counts here. */
export class SeenPositions {
  readonly #positions = new Map<NodeId, LogPosition>();
  #catalogVersion = 0;

  constructor(private readonly around?: SeenPositions) {}

  /** What was written here. */
  add(token: ReadToken): void {
    this.begin(token);
    this.around?.add(token);
  }

  /** What was written elsewhere: it counts here alone. */
  begin({ positions, catalogVersion }: ReadToken): void {
    for (const [node, position] of positions) this.#positions.set(node, laterPosition(this.#positions.get(node), position));
    this.#catalogVersion = Math.max(this.#catalogVersion, catalogVersion);
  }

  get token(): ReadToken {
    const around = this.around?.token;
    return around === undefined ? { positions: this.#positions, catalogVersion: this.#catalogVersion } : joinedTokens([around, { positions: this.#positions, catalogVersion: this.#catalogVersion }]);
  }

  get isEmpty(): boolean {
    return this.#positions.size === 0 && (this.around?.isEmpty ?? true);
  }
}

/** One token for all that several stand for. */
export function joinedTokens(tokens: readonly ReadToken[]): ReadToken {
  const joined = new SeenPositions();
  for (const token of tokens) joined.begin(token);
  return joined.token;
}
