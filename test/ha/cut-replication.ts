import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PostgresServer } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';

/** From here on standbys get nothing more of the server's log, while it is written to as before; nothing waits for them. */
export async function cutReplication(primary: PostgresServer): Promise<void> {
  const file = join(primary.dataDirectory, 'pg_hba.conf');
  writeFileSync(file, `host replication all all reject\nlocal replication all reject\n${readFileSync(file, 'utf8')}`);
  await withServer(primary, async (connection) => {
    for (const name of ['synchronous_standby_names', 'synchronized_standby_slots']) {
      await connection.query({ text: `ALTER SYSTEM SET ${name} = ''` });
    }
    await connection.query({ text: 'SELECT pg_reload_conf()' });
    // The postmaster reads its files when it comes to it; those who connect again before are ended once more.
    const ended = `SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_replication WHERE application_name LIKE 'standby%'`;
    for (let quiet = 0; quiet < 3;) {
      const { rows } = await connection.query({ text: ended });
      quiet = rows[0]?.[0] === '0' ? quiet + 1 : 0;
      await connection.query({ text: 'SELECT pg_sleep(0.25)' });
    }
  });
}
