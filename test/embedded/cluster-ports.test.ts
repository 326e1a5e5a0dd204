import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { choosePorts, rememberPorts } from '../../src/embedded/cluster-ports.ts';

test('without a wish every server chooses', () => {
  expect([...choosePorts({ nodes: 2 })]).toEqual([['coordinator', undefined], ['node1', undefined], ['node2', undefined]]);
});

test('nodes take the ports after the coordinator', () => {
  expect([...choosePorts({ nodes: 2, port: 7000 })]).toEqual([['coordinator', 7000], ['node1', 7001], ['node2', 7002]]);
});

test('a data directory has its nodes where they were, all of them; the coordinator may move', () => {
  const dataDirectory = temporaryDirectory();
  rememberPorts(dataDirectory, new Map([['coordinator', 5000], ['node1', 5010], ['node2', 5020]]));
  expect([...choosePorts({ nodes: 1, dataDirectory })]).toEqual([['coordinator', 5000], ['node1', 5010], ['node2', 5020]]);
  expect([...choosePorts({ nodes: 3, port: 7000, dataDirectory })]).toEqual([['coordinator', 7000], ['node1', 5010], ['node2', 5020], ['node3', 7003]]);
});

test('a file of something else is refused', () => {
  const dataDirectory = temporaryDirectory();
  writeFileSync(join(dataDirectory, 'ports.json'), '[]');
  expect(() => choosePorts({ nodes: 1, dataDirectory })).toThrow('does not name the ports of a cluster');
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'test-embedded-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
