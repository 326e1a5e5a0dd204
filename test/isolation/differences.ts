type ByInterleaving = Readonly<Record<string, readonly string[]>>;

const eachNodeItsSnapshot: ByInterleaving = {
  'read skew (G-single)': ['A read y: y = 18; plain: y = 20'],
  'read skew, then a write': ['A y += 1: UPDATE 1; plain: error 40001', 'A commit: COMMIT; plain: skipped', 'left: x = 12, y = 19; plain: x = 12, y = 18'],
  'long fork': ['C read x: x = 11; plain: x = 10', 'D read y: y = 21; plain: y = 20'],
};

const eachNodeItsConflicts: ByInterleaving = {
  'circular flow of information (G1c)': ['B commit: COMMIT; plain: error 40001', 'left: x = 11, y = 22; plain: x = 11, y = 20'],
  'write skew (G2-item)': ['B commit: COMMIT; plain: error 40001', 'left: x = 11, y = 21; plain: x = 11, y = 20'],
  'write skew by phantoms (G2)': ['B commit: COMMIT; plain: error 40001', 'left: x = 10, y = 20, z = 30, w = 42; plain: x = 10, y = 20, z = 30'],
};

/**
 * Where a cluster's outcome is another than one PostgreSQL's: each step that differs. What is not listed here is the same to the letter. `docs/consistency.md` says why.
 */
export const differences: Readonly<Record<string, ByInterleaving>> = {
  'several nodes, REPEATABLE READ': eachNodeItsSnapshot,
  'several nodes, SERIALIZABLE': { ...eachNodeItsSnapshot, ...eachNodeItsConflicts },
  'several nodes, SERIALIZABLE, consistent snapshots': eachNodeItsConflicts,
};
