import { chmodSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { sqlStateOf } from '../../src/base/errors.ts';

export interface MemoryLimits {
  /** A file system in memory. */
  readonly fileSystem: string;
  /** What has to be free there, and in memory for processes. */
  readonly bytesMin: number;
}

/** Linux has it, containers often a small one. Test files hold half of that at once. */
const sharedMemory: MemoryLimits = { fileSystem: '/dev/shm', bytesMin: 6 * 2 ** 30 };

/**
 * Lets this process and those that it starts keep their temporary files in memory, where there is room, until it is disposed. To create a database
 * and to drop it takes 15 ms there and 300 on a busy disk, though nothing of it need be written. A TMPDIR of the caller's stays.
 */
export function useDirectoryInMemory(limits: MemoryLimits = sharedMemory): Disposable {
  if (process.env['TMPDIR'] !== undefined || !hasRoom(limits)) return { [Symbol.dispose]: () => undefined };
  const directory = mkdtempSync(path.join(limits.fileSystem, 'shardwright-test-'));
  chmodSync(directory, 0o711); // Servers may run as another user.
  process.env['TMPDIR'] = directory;
  return {
    [Symbol.dispose]: () => {
      delete process.env['TMPDIR'];
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function hasRoom({ fileSystem, bytesMin }: MemoryLimits): boolean {
  try {
    const { bavail, bsize } = statfsSync(fileSystem);
    return Math.min(bavail * bsize, process.availableMemory()) >= bytesMin;
  } catch (error) {
    if (sqlStateOf(error) === 'ENOENT') return false;
    throw error;
  }
}
