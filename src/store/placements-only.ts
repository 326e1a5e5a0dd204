/** The tables that a version has changed where that is nothing but where shard groups are, as `bumpVersion` takes them. No table has this OID. */
export const placementsOnly: readonly number[] = [0];
