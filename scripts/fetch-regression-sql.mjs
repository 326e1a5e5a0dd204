// Fetches PostgreSQL's own regression SQL, from Debian's source package, for `npm run compatibility`: it is no part of this repository. Does nothing where it is there already. Prints the folder.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const release = 'postgresql-15';
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'shardwright');
const kept = join(cache, `${release}-regress`);

if (!existsSync(join(kept, 'parallel_schedule'))) fetchSources();
console.log(kept);

/** With lists of its own: those of the system need not know of sources. */
function fetchSources() {
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(join(tmpdir(), 'shardwright-regress-'));
  try {
    mkdirSync(join(draft, 'lists', 'partial'), { recursive: true });
    writeFileSync(join(draft, 'sources.list'), 'deb-src http://deb.debian.org/debian bookworm main\n');
    const lists = ['-qq', '-o', `Dir::Etc::SourceList=${draft}/sources.list`, '-o', 'Dir::Etc::SourceParts=/dev/null', '-o', `Dir::State::Lists=${draft}/lists`, '-o', 'APT::Sandbox::User=root'];
    run('apt-get', [...lists, 'update'], draft);
    run('apt-get', [...lists, 'source', '--download-only', release], draft);
    const archive = readdirSync(draft).find((name) => name.includes('.orig.tar.'));
    if (archive === undefined) fail(`apt-get has brought no source of ${release}`);
    run('tar', ['--extract', '--file', archive, '--strip-components', '4', '--one-top-level=regress', '--wildcards', '*/src/test/regress/*'], draft);
    rmSync(kept, { recursive: true, force: true });
    run('cp', ['-r', join(draft, 'regress'), `${kept}.draft`], draft);
    renameSync(`${kept}.draft`, kept);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) fail(`${command} failed${error === undefined ? '' : `: ${error.message}`}. Debian's apt-get and tar are needed.`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
