/**
 * Files of PostgreSQL's schedule in its order. Those chosen are preceded by those that they need: every file needs the tables of `test_setup`, most the indexes of `create_index`, and a few what the schedule's
 * comments say.
 */
export function filesInOrder(schedule: string, chosen: readonly string[] | undefined): readonly string[] {
  const all = schedule.split('\n').flatMap((line) => (line.startsWith('test:') ? line.slice('test:'.length).trim().split(/\s+/) : []));
  if (chosen === undefined) return all;
  const unknown = chosen.filter((file) => !all.includes(file));
  if (unknown.length > 0) throw new Error(`there is no such file: ${unknown.join(', ')}`);
  const wanted = new Set(chosen.flatMap(withNeeded));
  return all.filter((file) => wanted.has(file));
}

function withNeeded(file: string): string[] {
  const needed = needs[file] ?? (file === 'test_setup' || file === 'create_index' ? [] : ['create_index']);
  return ['test_setup', ...needed.flatMap(withNeeded), file];
}

const needs: Readonly<Record<string, readonly string[] | undefined>> = {
  multirangetypes: ['rangetypes'],
  geometry: ['point', 'lseg', 'line', 'box', 'path', 'polygon', 'circle', 'create_index'],
  horology: ['date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval'],
  aggregates: ['create_index', 'create_aggregate'],
  join: ['create_index', 'create_misc'],
  psql: ['create_index', 'create_am'],
  amutils: ['geometry', 'create_index_spgist', 'hash_index', 'brin'],
  select_parallel: ['create_index', 'create_misc'],
  select_views: ['create_index', 'create_view'],
  with: ['create_index', 'create_misc'],
};
