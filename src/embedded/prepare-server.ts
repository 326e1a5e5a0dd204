import { throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import { existingData, givenPlace, temporaryPlace, type ExistingData, type Place } from './data-directory.ts';
import { dataTemplate } from './data-template.ts';
import type { Settings } from './default-settings.ts';
import { findBinaries, type PostgresMajor } from './find-binaries.ts';
import type { PostgresOptions } from './postgres-options.ts';
import { serverUser, type ServerUser } from './server-user.ts';
import { usableBinaries, type Binaries } from './usable-binaries.ts';

/** All that a start needs but the port. */
export interface PreparedServer extends Place {
  readonly major: PostgresMajor;
  readonly binaries: Binaries;
  readonly user: ServerUser | undefined;
  /** To be copied to the data directory; `undefined` when that has data already. */
  readonly template: string | undefined;
  readonly settings: Settings;
}

const newest: PostgresMajor = 18;

/** Finds the programs and a template, and decides on the directory. `embeddedServer`, `canceled`. */
export async function prepareServer(options: PostgresOptions): Promise<PreparedServer> {
  throwIfAborted(options.signal);
  const { dataDirectory, locale, settings = {}, signal } = options;
  const data = dataDirectory === undefined ? undefined : existingData(dataDirectory);
  const major = chooseMajor(options.major, data);
  const user = data?.owner ?? serverUser();
  const binaries = await usableBinaries(await findBinaries(major), { user, signal });
  const template = data === undefined ? await dataTemplate({ binaries, locale, user, signal }) : undefined;
  throwIfAborted(signal);
  const place = dataDirectory === undefined ? temporaryPlace(user) : givenPlace(dataDirectory, user);
  return { major, binaries, user, template, settings, ...place };
}

function chooseMajor(wanted: PostgresMajor | undefined, data: ExistingData | undefined): PostgresMajor {
  if (data === undefined) return wanted ?? newest;
  if (wanted === undefined || wanted === data.major) return data.major;
  throw new ClusterError('embeddedServer', `data directory "${data.path}" is of PostgreSQL ${data.major}, not ${wanted}`, {
    hint: `Start it with major ${data.major}, or name another directory.`,
  });
}
