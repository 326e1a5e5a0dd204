import { readPlanFile, type PlanCase } from '../test/plan/plan-file.ts';

const head = `# What SQL runs, and how

<!-- Made from the golden files in test/plan by \`npm run docs\`; do not edit. -->

Every statement here is planned by a test, and its plan compared in full (\`test/plan/*.plan\`); rows and errors are compared with one PostgreSQL by the suites that [testing.md](testing.md) names. \`orders\`,
\`lines\` and \`other.orders\` are distributed by \`tenant_id\` and co-located; \`visits\`, \`marks\` and \`prices\` are distributed by \`page\`, \`code\` and \`price\`; \`regions\` is a reference table, \`local_things\` neither;
\`solo\` and \`solo_parts\` have one shard, \`apart\` one on another node; \`large\`, \`totals\` and \`guarded\` are views over \`orders\`. There are two nodes and four shard groups.

How to read the last column: **one node** gets the statement as it is. **Shard groups** answer for themselves, and what follows the arrows is done with their answers: *gather* passes them on as they come, *merge sorted* keeps
their order, *combine aggregates* adds up partial ones, all in the application; *residual* is finished by the coordinator database over the gathered rows. *After n intermediate results* means that so many
parts ran before, and where their rows went. \`cluster.explain()\` shows the whole tree.

`;

export interface GoldenFile {
  readonly title: string;
  readonly text: string;
}

/** The text of docs/sql-support.md. */
export function renderSqlSupport(files: readonly GoldenFile[]): string {
  return head + files.map(({ title, text }) => `## ${title}\n\n| | statement | how it runs |\n|---|---|---|\n${readPlanFile(text).map(rowOf).join('')}`).join('\n');
}

function rowOf(found: PlanCase): string {
  const what = found.comment.split('\n').map((line) => line.replace(/^#\s*/, '')).join(' ');
  return `| ${cell(what)} | \`${cell(found.sql.replaceAll('\n', ' ').replaceAll('`', ''))}\` | ${cell(howItRuns(found.expected))} |\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** In a few words what a plan's tree says. */
export function howItRuns(plan: string): string {
  if (plan.startsWith('ERROR')) return refusal(plan);
  const lines = plan.split('\n');
  const nodes = lines.filter((line) => nodeLine.test(line)).map((line) => line.replace(nodeLine, '$1'));
  const first = nodes.indexOf(intermediate);
  const [source = '', ...above] = (first < 0 ? nodes : nodes.slice(0, first)).toReversed();
  const results = lines.filter((line) => line.trimStart().startsWith('For: ')).map((line) => line.trim().slice('For: '.length));
  return [[places[source] ?? source.toLowerCase(), ...above.map((name) => name.toLowerCase())].join(' → '), ...after(results)].join(', ');
}

const nodeLine = /^\s*(?:->\s+)?([A-Z][A-Za-z ]*)$/u;
const intermediate = 'Intermediate result';

const places: Readonly<Record<string, string>> = {
  Router: '**one node**', 'Any node': '**any one node**', Coordinator: '**coordinator database**', 'Shard queries': '**shard groups**', 'Fused shard queries': '**shard groups**',
  'Select router': '**one node**', 'Update router': '**one node**', 'Insert router': '**one node**', Insert: '**the rows\' nodes**', Materialize: 'the query, then **coordinator database**',
};

function after(results: readonly string[]): string[] {
  if (results.length === 0) return [];
  const where = [...new Set(results)].join(', ');
  return [`after ${results.length === 1 ? 'an intermediate result' : `${results.length} intermediate results`} for ${where}`];
}

function refusal(plan: string): string {
  const [error = '', ...rest] = plan.split('\n');
  const detail = rest.find((line) => line.startsWith('DETAIL '))?.slice('DETAIL '.length);
  const code = /^ERROR (\S+)/.exec(error)?.[1] ?? '';
  return `refused (${code.replace(/:$/, '')}): ${detail ?? error.replace(/^ERROR [^:]*: /, '')}`;
}
