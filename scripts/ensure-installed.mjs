// Runs before `npm run demo`, `npm test` and the like, so that a fresh clone needs no other command: checks the version of Node,
// and installs the packages unless exactly those of package-lock.json are there. Uses nothing but Node: there may be nothing else.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

requireNode(readJson('package.json').engines.node);
if (!isInstalled()) install();

/** @param {string} range a lower bound such as `>=20.19` */
function requireNode(range) {
  const wanted = range.replace(/^>=/, '').split('.').map(Number);
  const found = process.versions.node.split('.').map(Number);
  const index = wanted.findIndex((part, position) => part !== found[position]);
  if (index === -1 || found[index] > wanted[index]) return;
  fail(`Node ${range} is needed, this is ${process.versions.node} (${process.execPath}). Get a newer one from https://nodejs.org/`);
}

/** npm notes what it installed in node_modules; packages for other platforms are optional and missing there. */
function isInstalled() {
  if (!existsSync(`${root}node_modules/.package-lock.json`)) return false;
  const installed = readJson('node_modules/.package-lock.json').packages;
  return Object.entries(readJson('package-lock.json').packages)
    .filter(([path]) => path.startsWith('node_modules/'))
    .every(([path, wanted]) => {
      const found = installed[path];
      if (found === undefined) return wanted.optional === true && !suits(wanted);
      return found.version === wanted.version && found.integrity === wanted.integrity;
    });
}

/** Whether an optional package is made for this platform; npm leaves out the others. */
function suits({ os = [], cpu = [process.arch], libc }) {
  return os.includes(process.platform) && cpu.includes(process.arch) && libc === undefined;
}

function install() {
  console.error('Installing the packages (npm ci) ...');
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) fail(`npm ci failed${error === undefined ? '' : `: ${error.message}`}. Run it by hand to see why.`);
}

function readJson(path) {
  return JSON.parse(readFileSync(`${root}${path}`, 'utf8'));
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
