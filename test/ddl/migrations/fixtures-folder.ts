import { pathToFileURL } from 'node:url';

/** The histories, by tool. From the root of the project: what is started as a process has been built, elsewhere. */
export function fixturesOf(tool: string): URL {
  return new URL(`test/ddl/migrations/fixtures/${tool}/`, pathToFileURL(`${process.cwd()}/`));
}
