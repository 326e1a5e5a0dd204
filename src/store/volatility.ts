/** Nodes of an expression tree that have no volatility of their own, or one that is looked at below. Any other makes it volatile. */
const knownNodes = `'FUNCEXPR', 'OPEXPR', 'DISTINCTEXPR', 'NULLIFEXPR', 'SCALARARRAYOPEXPR', 'BOOLEXPR', 'CONST', 'RELABELTYPE',
  'COERCEVIAIO', 'ARRAYCOERCEEXPR', 'CASETESTEXPR', 'ARRAY', 'ARRAYEXPR', 'CASE', 'CASEEXPR', 'WHEN', 'CASEWHEN', 'COALESCE', 'COALESCEEXPR',
  'MINMAX', 'MINMAXEXPR', 'NULLTEST', 'BOOLEANTEST', 'SQLVALUEFUNCTION', 'COLLATE', 'COLLATEEXPR', 'NAMEDARGEXPR', 'COERCETODOMAIN',
  'SUBSCRIPTINGREF'`;

/**
 * The volatility of the expression `x.tree`: i, s or v. It is read from the stored tree, where every function stands by its OID. (pg_depend will not do: it leaves out built-in
 * functions.) Expressions of equal text are equal, since the search path is fixed. Functions reached through I/O conversions are at most stable.
 */
export const volatility = `
  CASE WHEN EXISTS (SELECT FROM regexp_matches(x.tree, '\\{([A-Z_0-9]+)', 'g') AS m (node) WHERE m.node[1] NOT IN (${knownNodes})) THEN 'v'
  ELSE greatest('i' COLLATE "C", CASE WHEN x.tree ~ '\\{(SQLVALUEFUNCTION|COERCEVIAIO) ' THEN 's' END,
    (SELECT max(coalesce(p.provolatile::text, 'v') COLLATE "C") FROM regexp_matches(x.tree, ' :(?:funcid|opfuncid) ([0-9]+)', 'g') AS m (id)
       LEFT JOIN pg_proc p ON p.oid = m.id[1]::oid)) END`;
