// For commands that use more than Node.
import { spawnSync } from 'node:child_process';

/** Installs packages of Debian; ends the process where it cannot. No server of theirs starts by itself. */
export function installDebian(names) {
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status !== 0 || process.getuid?.() !== 0) {
    console.error(`These Debian packages are needed, and only root can install them: ${names.join(' ')}`);
    process.exit(1);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [['update', '-qq'], ['install', '-y', '-qq', '--no-install-recommends', ...names]]) {
    const { status } = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    if (status !== 0) process.exit(status ?? 1);
  }
}
