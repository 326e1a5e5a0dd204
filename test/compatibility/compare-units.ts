import type { Unit } from './echoed-lines.ts';

/**
 * How the answer to a statement compares. `order`: rows are the same, in another order, where none is asked for. `noise`: one PostgreSQL beside another differs here, too. `refused`: a numbered error. `follows`: it
 * names something that was refused before. `plan`: EXPLAIN shows the cluster's plan.
 */
export type Verdict = 'equal' | 'order' | 'noise' | 'refused' | 'follows' | 'plan' | 'different';

export interface Compared {
  readonly place: number;
  readonly verdict: Verdict;
  readonly statement: string;
  readonly direct: string;
  readonly cluster: string;
}

interface Answers {
  readonly direct: ReadonlyMap<number, Unit>;
  /** Another server like the first. */
  readonly control: ReadonlyMap<number, Unit>;
  readonly cluster: ReadonlyMap<number, Unit>;
}

/** Compares all answers of a file, in its order. `refusedNames`: names of what was refused in files before; those of this file are added. */
export function compareUnits({ direct, control, cluster }: Answers, refusedNames: Set<string>): readonly Compared[] {
  const places = [...new Set([...direct.keys(), ...cluster.keys()])].filter((place) => Number.isInteger(place)).sort((a, b) => a - b);
  return places.map((place) => {
    const [one, other, ours] = [direct.get(place), control.get(place), cluster.get(place)].map((unit) => comparable(unit?.output ?? ''));
    const statement = (direct.get(place) ?? cluster.get(place))?.statement ?? '';
    const compared = { place, statement, direct: one ?? '', cluster: ours ?? '' };
    const isRefused = refusal.test(cluster.get(place)?.output ?? '');
    const verdict = isRefused && one !== ours ? 'refused' : verdictOf(compared, other ?? '', refusedNames);
    if (verdict === 'refused') for (const name of namesMade(statement)) refusedNames.add(name);
    return { ...compared, verdict };
  });
}

function verdictOf({ direct, cluster, statement }: Omit<Compared, 'verdict'>, control: string, refusedNames: ReadonlySet<string>): Verdict {
  if (direct === cluster) return 'equal';
  if (direct !== control) return 'noise';
  if (!/order\s+by/i.test(statement) && sorted(direct) === sorted(cluster)) return 'order';
  if (/^\s*QUERY PLAN\s*$/m.test(cluster) && /\bexplain\b/i.test(statement)) return 'plan';
  const words = new Set(`${statement}\n${cluster}`.toLowerCase().match(/\w+/g) ?? []);
  return [...refusedNames].some((name) => words.has(name)) ? 'follows' : 'different';
}

/** The wire server gives an error's number in place of a routine's name. */
const refusal = /^LOCATION: {2}SW00[1-4]\b/m;

/** Where an error was raised in the server's source is no part of an answer, nor which node it came from, nor which of a server's processes has answered. */
function comparable(output: string): string {
  return output.replaceAll(/\bpg_temp_\d+/g, 'pg_temp').split('\n').filter((line) => !/^LOCATION: {2}|^(CONTEXT: {2})?node 127\.0\.0\.1:\d+/.test(line)).join('\n');
}

function sorted(output: string): string {
  return output.split('\n').sort().join('\n');
}

function namesMade(statement: string): string[] {
  const made = statement.matchAll(/\b(?:create|alter)\s+(?:or\s+replace\s+)?(?:[a-z]+\s+){0,3}?(?:table|view|function|procedure|type|domain|sequence|index|aggregate|operator|class|trigger|rule|schema|role|user|cast|publication)\s+(?:concurrently\s+)?(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?(?:\w+\.)?(\w+)/gi);
  return [...made].map(([, name = '']) => name.toLowerCase());
}
