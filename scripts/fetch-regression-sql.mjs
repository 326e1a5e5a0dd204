// Fetches PostgreSQL's own regression SQL, from Debian's source package, for `npm run compatibility`: it is no part of this repository. Does nothing where it is there already. Prints the folder.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';

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
    writeSourceLists(join(draft, 'sources.list.d'));
    const lists = ['-qq', '-o', 'Dir::Etc::SourceList=/dev/null', '-o', `Dir::Etc::SourceParts=${draft}/sources.list.d`, '-o', `Dir::State::Lists=${draft}/lists`, '-o', 'APT::Sandbox::User=root'];
    run('apt-get', [...lists, 'update'], draft);
    run('apt-get', [...lists, 'source', '--download-only', `${release}/${codename()}`], draft);
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

/** The places that the system has its packages from, asked for their sources. */
function writeSourceLists(folder) {
  mkdirSync(folder, { recursive: true });
  const parts = '/etc/apt/sources.list.d';
  const files = [...(existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : []), '/etc/apt/sources.list'].filter((file) => existsSync(file) && /\.(list|sources)$/.test(file));
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    const sources = file.endsWith('.list') ? text.replace(/^\s*deb\s/gm, 'deb-src ') : text.replace(/^Types:.*$/gm, 'Types: deb-src');
    writeFileSync(join(folder, basename(file)), sources);
  }
}

/** Of the system's release itself: sources of later updates are not kept everywhere. */
function codename() {
  return /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
}

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) fail(`${command} failed${error === undefined ? '' : `: ${error.message}`}. Debian's apt-get and tar are needed.`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
