import { quoteLiteral } from '../../sql/identifiers.ts';

/** `plan/plan-materialized.ts` says what the two arms are. Groups: the columns of the first, those of the second, and the query. */
const twoArms = String.raw`^\s*SELECT (.*?)\s+FROM shardwright\.materialized_rows\('fill_\w+'::text\) rows\(.*?\)\s+UNION ALL\s+SELECT (.*?)\s+FROM \((.*)\) query\s+WHERE false;?\s*$`;

/** How much further a server indents a query in FROM than one that stands alone. */
const deeper = 8;

/** A constant that ends in its line, and a name. */
const inOneLine = String.raw`'[^'\n]*'|"[^"\n]*"`;

/** One of the columns of the first arm: `rows.a AS b`. Groups: what precedes it, and the name that `rows` has for it. */
const renamedColumn = String.raw`(^|,\s*)(?:rows\.)?("(?:[^"]|"")*"|[^\s,"]+)(?: AS (?:"(?:[^"]|"")*"|[^\s,"]+))?`;

/**
 * SQL for the definition of a view as the user wrote it, which stands around an expression for the one that a server has printed: of a materialized view that the cluster fills it is the query alone, so that
 * a dump can be restored anywhere. Columns that were renamed are named around it. Any other definition stays as it is, NULL also.
 */
export const aroundDefinition: { readonly before: string; readonly behind: string } = {
  before: `(SELECT CASE WHEN d.arms IS NULL THEN d.printed WHEN ${bareColumns('d.arms[1]', 'rows')} OPERATOR(pg_catalog.=) ${bareColumns('d.arms[2]', 'query')} THEN ${lessIndented('d.arms[3]')} || ';' `
    + `ELSE ' SELECT ' || d.arms[1] || E'\\n   FROM (' || d.arms[3] || ') rows(' || ${replaced('d.arms[1]', renamedColumn, String.raw`\1\2`)} || ');' END `
    + `FROM (SELECT p.printed, pg_catalog.regexp_match(p.printed, ${quoteLiteral(twoArms)}) AS arms FROM (SELECT `,
  behind: ' AS printed) AS p) AS d)',
};

/** Their names, however they are spread over lines. */
function bareColumns(columns: string, relation: string): string {
  return replaced(replaced(columns, String.raw`(^|,\s*)${relation}\.`, String.raw`\1`), String.raw`\s+`, ' ');
}

/** Unless a constant or a name may go on in another line, which would be changed. */
function lessIndented(query: string): string {
  return `CASE WHEN ${replaced(query, inOneLine, '')} OPERATOR(pg_catalog.~) ${quoteLiteral(`['"]`)} THEN ${query} ELSE ${replaced(query, String.raw`\n {${deeper}}`, '\n')} END`;
}

function replaced(text: string, pattern: string, by: string): string {
  return `pg_catalog.regexp_replace(${text}, ${quoteLiteral(pattern)}, ${quoteLiteral(by)}, 'g')`;
}
