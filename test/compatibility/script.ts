import type { EchoedLine } from './echoed-lines.ts';

/** What tables that a script makes become: nothing at all, or distributed with one shard each, directly after they are made. */
export type Layout = 'undistributed' | 'single-shard';

/** The lines of a file of PostgreSQL, to be given to psql. */
export function scriptOf(file: string, layout: Layout): readonly EchoedLine[] {
  const lines = file.split('\n').map((text): EchoedLine => ({ text: text.replace(verbosity, '$1verbose'), isAdded: false }));
  return layout === 'undistributed' ? lines : withDistribution(lines);
}

/** SQLSTATEs are compared, so they are shown throughout. */
const verbosity = /^(\\set VERBOSITY )(?:default|terse)/;

/** Tables are distributed outside of blocks alone. Parents of others stay as they are, since the others could not be made. Those that are filled from a server's file, which only a local table can be, come behind that. */
function withDistribution(lines: readonly EchoedLine[]): readonly EchoedLine[] {
  const all = lines.map(({ text }) => text).join('\n');
  const parents = new Set([...all.matchAll(/\binherits?\s*\(?\s*([\w.", ]+)/gi)].flatMap(([, names = '']) => names.split(',').map((name) => name.trim().toLowerCase())));
  const filled = new Set([...all.matchAll(fromFile)].map(([, table = '']) => table.toLowerCase()));
  const made: EchoedLine[] = [];
  const distribute = (table: string): number => made.push({ text: `SELECT create_distributed_table('${table.replaceAll("'", "''")}', NULL);`, isAdded: true });
  let isInBlock = false;
  let creating = '';
  for (const line of lines) {
    made.push(line);
    const { text } = line;
    if (/^\s*(begin|start transaction)\b[^;]*;/i.test(text)) isInBlock = true;
    if (/^\s*(commit|end|rollback|abort)(\s+(work|transaction))?\s*;/i.test(text)) isInBlock = false;
    for (const [, table = ''] of text.matchAll(fromFile)) distribute(table);
    if (creating === '' && !/^\s*create\s+(unlogged\s+)?table\s/i.test(text)) continue;
    creating += `${text.replace(/--.*$/, '')} `;
    if (!/;\s*$/.test(creating)) continue;
    const table = tableMade(creating);
    creating = '';
    if (table !== undefined && !isInBlock && !parents.has(table.toLowerCase()) && !filled.has(table.toLowerCase())) distribute(table);
  }
  return made;
}

/** In the files, the name of the server's file is always a variable of psql. */
const fromFile = /^\s*copy\s+([\w.]+)\s+from\s+:'filename'\s*;/gim;

/** The name of a table that stands by itself; partitions go with their table. */
function tableMade(statement: string): string | undefined {
  const [, name] = /^\s*create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?([\w.]+|"[^"]+")\s*\(/i.exec(statement) ?? [];
  if (name === undefined || /^pg_temp\./i.test(name) || /\)\s*(with\s*\(.*\)\s*)?as\s|\binherits\b/i.test(statement)) return undefined;
  return name;
}
