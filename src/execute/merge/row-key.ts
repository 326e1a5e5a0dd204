import { present } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { equalityKeyFor } from '../../sql/values/equality-key.ts';

/** Equal for rows whose columns are equal, NULLs being equal to one another. Never undefined: fit for Map and Set. */
export type RowKey = (row: RawRow) => string | null;

/** The key over the first columns, whose types must have equality keys. With no columns all rows are equal. */
export function rowKey(columnTypes: readonly number[]): RowKey {
  const keys = columnTypes.map((oid) => present(equalityKeyFor(oid), `equality key of type ${oid}`));
  const [only] = keys;
  if (only !== undefined && keys.length === 1) {
    return (row) => {
      const text = row[0] ?? null;
      return text === null ? null : only(text);
    };
  }
  return (row) => {
    let joined = '';
    for (let column = 0; column < keys.length; column += 1) {
      const text = row[column] ?? null;
      const key = text === null ? null : keys[column]?.(text) ?? '';
      // Lengths keep ('a', 'bc') and ('ab', 'c') apart.
      joined += key === null ? '-' : `${key.length}:${key}`;
    }
    return joined;
  };
}
