import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError } from '../base/errors.ts';

/** Ports by server name (`coordinator`, `node1`, `node2` ...); `undefined` lets the server choose. */
export type ClusterPorts = ReadonlyMap<string, number | undefined>;

export interface PortOptions {
  readonly nodes: number;
  /** Of the coordinator; new nodes get the ports after it. */
  readonly port?: number | undefined;
  readonly dataDirectory?: string | undefined;
}

/**
 * Which servers to start, and where. The metadata remembers nodes by port, so those of an existing data directory come back at
 * their ports, all of them, even when fewer are asked for.
 */
export function choosePorts({ nodes, port, dataDirectory }: PortOptions): ClusterPorts {
  const remembered = dataDirectory === undefined ? new Map<string, number>() : readPorts(dataDirectory);
  const names = Array.from({ length: Math.max(nodes, remembered.size - 1) }, (_, index) => `node${index + 1}`);
  const fromPort = (index: number) => (port === undefined ? undefined : port + index);
  return new Map([
    ['coordinator', port ?? remembered.get('coordinator')] as const,
    ...names.map((name, index) => [name, remembered.get(name) ?? fromPort(index + 1)] as const),
  ]);
}

/** Notes the ports of running servers for the next start. */
export function rememberPorts(dataDirectory: string, ports: ReadonlyMap<string, number>): void {
  mkdirSync(dataDirectory, { recursive: true });
  const draft = `${fileOf(dataDirectory)}.new`;
  writeFileSync(draft, `${JSON.stringify(Object.fromEntries(ports), undefined, 2)}\n`);
  renameSync(draft, fileOf(dataDirectory));
}

function readPorts(dataDirectory: string): Map<string, number> {
  const file = fileOf(dataDirectory);
  if (!existsSync(file)) return new Map();
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const entries = Object.entries(content ?? {}).filter((entry): entry is [string, number] => Number.isInteger(entry[1]));
  if (entries.length > 1) return new Map(entries);
  throw new ClusterError('embeddedServer', `file "${file}" does not name the ports of a cluster`);
}

function fileOf(dataDirectory: string): string {
  return join(dataDirectory, 'ports.json');
}
