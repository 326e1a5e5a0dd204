import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClusterError } from '../base/errors.ts';
import { cachedDirectory } from './cached-directory.ts';
import { defaultSettings, settingLines } from './default-settings.ts';
import { runCommand } from './run-command.ts';
import type { ServerUser } from './server-user.ts';
import type { Binaries } from './usable-binaries.ts';

export interface TemplateOptions {
  readonly binaries: Binaries;
  /** See `PostgresOptions.locale`. */
  readonly locale?: string | undefined;
  readonly user: ServerUser | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A freshly initialised data directory to copy: UTF8, superuser `postgres` trusted from the machine itself, `defaultSettings`.
 * Made once per version and locale (about a second), then shared by all processes.
 */
export async function dataTemplate(options: TemplateOptions): Promise<string> {
  return cachedDirectory({
    key: `data-${options.binaries.version}-${(options.locale ?? 'default').replaceAll(/[^\w.@-]/g, '_')}`,
    user: options.user,
    signal: options.signal,
    build: (path) => initialise(path, options),
  });
}

async function initialise(path: string, options: TemplateOptions): Promise<void> {
  const common = ['-D', path, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions', '--lc-messages=C'];
  await firstThatWorks(localeArguments(options), (locale) =>
    runCommand({ program: options.binaries.initdb, args: [...common, ...locale], user: options.user, signal: options.signal }),
  );
  await appendFile(join(path, 'postgresql.conf'), `\n# Set by shardwright.\n${settingLines(defaultSettings)}`);
}

/** Ways to say the locale, best first. Without a wish: by code point, which every platform can do in one way or another. */
function localeArguments({ locale, binaries }: TemplateOptions): string[][] {
  const neutral = ['--locale=C.UTF-8'];
  if (locale?.startsWith('icu:') === true) {
    const icu = ['--locale-provider=icu', `--icu-locale=${locale.slice('icu:'.length)}`];
    return [[...icu, ...neutral], [...icu, '--locale=en_US.UTF-8'], [...icu, '--locale=C']];
  }
  if (locale !== undefined) return [[`--locale=${locale}`]];
  const builtin = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  return Number.parseInt(binaries.version, 10) >= 17 ? [neutral, builtin] : [neutral, ['--locale=C']];
}

/** initdb removes what it made when it fails, so that the next try starts clean. */
async function firstThatWorks(choices: readonly string[][], run: (choice: string[]) => Promise<unknown>): Promise<void> {
  let failure: unknown;
  for (const choice of choices) {
    try {
      await run(choice);
      return;
    } catch (error) {
      failure = error;
    }
  }
  const detail = failure instanceof ClusterError ? failure.detail : undefined;
  throw new ClusterError('embeddedServer', 'could not initialise a data directory', { detail, cause: failure });
}
