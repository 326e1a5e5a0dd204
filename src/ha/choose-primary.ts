/** A server that takes writes. */
export interface Claim<Id> {
  readonly server: Id;
  /** Alike for all names of one running server. */
  readonly instance: string;
  readonly timeline: number;
}

export interface KnownOfPrimary<Id> {
  /** The server that is the primary so far. */
  readonly current: Id | undefined;
  /** The newest timeline that a primary was seen on; 0 before the first. */
  readonly timelineMax: number;
  /** Every server was heard, or has had its time to answer. */
  readonly allHeard: boolean;
}

/** Of servers that claim under several names one name each: the current primary's, else the first. Two names of one server would be two claims on one timeline. */
export function withoutAliases<Id>(claims: readonly Claim<Id>[], current: Id | undefined): readonly Claim<Id>[] {
  return claims.filter((claim) => {
    const names = claims.filter(({ instance }) => instance === claim.instance);
    return claim === (names.find(({ server }) => server === current) ?? names[0]);
  });
}

/**
 * Of the servers that take writes the one that may be written to: on the newest timeline, which a promotion begins. One alone on a timeline newer than all before is taken at once; else only when the others had
 * their time to say that they are newer. Undefined when there is none yet, or two on one timeline: then they are copies of each other, and writing to either could be wrong.
 */
export function choosePrimary<Id>(claims: readonly Claim<Id>[], { current, timelineMax, allHeard }: KnownOfPrimary<Id>): Id | undefined {
  const newest = Math.max(0, ...claims.map(({ timeline }) => timeline));
  if (newest === 0 || newest < timelineMax) return undefined;
  const leaders = claims.filter(({ timeline }) => timeline === newest).map(({ server }) => server);
  if (current !== undefined && leaders.includes(current)) return current;
  if (leaders.length > 1) return undefined;
  return allHeard || (timelineMax > 0 && newest > timelineMax) ? leaders[0] : undefined;
}
