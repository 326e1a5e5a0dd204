/** One case of a golden file: a comment that says what it proves, a statement, and what came of it. */
export interface PlanCase {
  readonly comment: string;
  readonly sql: string;
  /** From a line `-- values: […]` below the statement. */
  readonly values: readonly unknown[];
  /** From a line `-- session: …`: what the session has run before. */
  readonly session: string | undefined;
  readonly expected: string;
}

const rule = '----';
const valuesPrefix = '-- values: ';
const sessionPrefix = '-- session: ';

/** Cases stand apart by empty lines. A case is lines of comment (`#`), lines of SQL, `----` and the outcome; a new case has no outcome yet. */
export function readPlanFile(text: string): PlanCase[] {
  return text.split(/\n\n+/).map((block) => block.trim()).filter((block) => block !== '').map(readCase);
}

function readCase(block: string): PlanCase {
  const lines = block.split('\n');
  const ruleAt = lines.indexOf(rule);
  const head = ruleAt < 0 ? lines : lines.slice(0, ruleAt);
  const values = head.find((line) => line.startsWith(valuesPrefix))?.slice(valuesPrefix.length);
  return {
    comment: head.filter((line) => line.startsWith('#')).join('\n'),
    sql: head.filter((line) => !line.startsWith('#') && !line.startsWith(valuesPrefix) && !line.startsWith(sessionPrefix)).join('\n'),
    values: values === undefined ? [] : (JSON.parse(values) as unknown[]),
    session: head.find((line) => line.startsWith(sessionPrefix))?.slice(sessionPrefix.length),
    expected: ruleAt < 0 ? '' : lines.slice(ruleAt + 1).join('\n'),
  };
}

export function writePlanFile(cases: readonly PlanCase[]): string {
  return `${cases.map(writeCase).join('\n\n')}\n`;
}

function writeCase({ comment, sql, values, session, expected }: PlanCase): string {
  return [comment, sql, ...(session === undefined ? [] : [`${sessionPrefix}${session}`]), ...(values.length === 0 ? [] : [`${valuesPrefix}${JSON.stringify(values)}`]), rule, expected].join('\n');
}
