import { errorCatalogue } from '../src/base/errors.ts';

const head = `# Errors

<!-- Made from src/base/errors.ts by \`npm run docs\`; do not edit. -->

A server's own error passes through whole, as \`pg\` would throw it (a \`DatabaseError\`); only the names of shards in it are turned into those of your
tables, and \`where\` says which shard it was.

What the library itself has to say is a \`ClusterError\`, shaped alike: \`code\` is a SQLSTATE, \`detail\`, \`hint\`, \`where\`, \`position\`,
\`schema\`, \`table\`, \`column\` and \`constraint\` are as PostgreSQL fills them. Besides, it has

- \`number\` and \`id\` as below; they stay the same from version to version. Clients of the wire server find the number where a server names a routine of its own,
- \`transient\`: whether the same call may succeed when it is tried again,
- \`transactionId\`, of \`outcomeUnknown\` alone: for \`cluster.outcomeOf\`.

`;

const columns = '| number | id | SQLSTATE | transient | what it says |\n|---|---|---|---|---|\n';

/** The text of docs/errors.md. */
export function renderErrorDocs(): string {
  const rows = Object.entries(errorCatalogue).map(
    ([id, { number, sqlState, transient, about }]) => `| ${number} | \`${id}\` | ${sqlState} | ${transient ? 'yes' : ''} | ${about.replaceAll('|', '\\|')} |\n`,
  );
  return head + columns + rows.join('');
}
