import type { OracleCase } from '../oracle/oracle-case.ts';
import type { Find } from './hunt.ts';

/** The shrunk statement, what differs, and a case to paste into `test/regressions/finds.ts`. */
export function reportFind(find: Find): string {
  const differences = find.differences.map(({ kind, text }) => `  [${kind}] ${text}`);
  const heading = find.kind === 'read' ? find.found.sql : find.found.steps.map((step) => step.sql).join(';\n');
  return [`seed ${find.seed}:`, heading, ...differences, '  as a regression:', `  ${pasteable(find)}`].join('\n');
}

function pasteable(find: Find): string {
  if (find.kind === 'read') return `${caseText(find.found)},`;
  const volatileColumns = `[${(find.found.volatileColumns ?? []).map((name) => `'${name}'`).join(', ')}]`;
  return `{ name: 'fuzz ${find.seed}', steps: [${find.found.steps.map(caseText).join(', ')}], volatileColumns: ${volatileColumns} },`;
}

function caseText(found: OracleCase): string {
  const fields = Object.entries(found).filter(([name]) => name !== 'sql');
  const rest = fields.map(([name, value]) => `, ${name}: ${JSON.stringify(value)}`).join('');
  return `{ sql: \`${found.sql.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${')}\`${rest} }`;
}
