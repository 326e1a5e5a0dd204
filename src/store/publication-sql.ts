/** Those of change feeds and moves are not the user's. */
export const isUsersPublication = (publication: string): string => `${publication}.pubname !~ '^shardwright_'`;

/** Whether a publication has a table, a row of pg_class, since it has all tables, or all of its schema. Our own catalog is nobody's business. */
export const isPublishedWhole = (publication: string, table: string): string => `(${table}.relpersistence = 'p' AND ${table}.relnamespace IS DISTINCT FROM pg_catalog.to_regnamespace('shardwright')
  AND (${publication}.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = ${publication}.oid AND s.pnnspid = ${table}.relnamespace)))`;

/** Whether it has it by its name or as a whole. */
export const isPublished = (publication: string, table: string): string =>
  `(EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = ${publication}.oid AND r.prrelid = ${table}.oid) OR ${isPublishedWhole(publication, table)})`;
