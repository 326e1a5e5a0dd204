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

/** Tables are distributed outside of blocks alone: it is not done inside of them. Parents of others stay as they are, since the others could not be made. */
function withDistribution(lines: readonly EchoedLine[]): readonly EchoedLine[] {
  const all = lines.map(({ text }) => text).join('\n');
  const parents = new Set([...all.matchAll(/\binherits?\s*\(?\s*([\w.", ]+)/gi)].flatMap(([, names = '']) => names.split(',').map((name) => name.trim().toLowerCase())));
  const made: EchoedLine[] = [];
  let isInBlock = false;
  let creating = '';
  for (const line of lines) {
    made.push(line);
    const { text } = line;
    if (/^\s*(begin|start transaction)\b[^;]*;/i.test(text)) isInBlock = true;
    if (/^\s*(commit|end|rollback|abort)(\s+(work|transaction))?\s*;/i.test(text)) isInBlock = false;
    if (creating === '' && !/^\s*create\s+(unlogged\s+)?table\s/i.test(text)) continue;
    creating += `${text.replace(/--.*$/, '')} `;
    if (!/;\s*$/.test(creating)) continue;
    const table = tableMade(creating);
    creating = '';
    if (table !== undefined && !isInBlock && !parents.has(table.toLowerCase())) made.push({ text: `SELECT create_distributed_table('${table.replaceAll("'", "''")}', NULL);`, isAdded: true });
  }
  return made;
}

/** The name of a table that stands by itself; partitions go with their table. */
function tableMade(statement: string): string | undefined {
  const [, name] = /^\s*create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?([\w.]+|"[^"]+")\s*\(/i.exec(statement) ?? [];
  if (name === undefined || /^pg_temp\./i.test(name) || /\)\s*(with\s*\(.*\)\s*)?as\s|\binherits\b/i.test(statement)) return undefined;
  return name;
}
