import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import ts from 'typescript';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';
import { importingSources, readmeProgram } from './readme-program.ts';

/** Servers are started, and the sources are checked as a whole: that takes a while on a busy machine. */
const timeoutMs = 180_000;

test('the code of the README runs, and prints what it says', async () => {
  const databases = await createTestDatabases({ nodes: 2 });
  onTestFinished(() => databases.drop());
  const { source, printed } = readmeProgram();
  const print = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  onTestFinished(() => print.mockRestore());
  await import(/* @vite-ignore */ writeProgram(importingSources(onDatabases(source, databases))));
  const lines = print.mock.calls.map((values) => values.map((value) => (typeof value === 'string' ? value : inspect(value, { breakLength: Infinity }))).join(' '));
  expect(lines.map(withoutPorts)).toEqual(printed.map(withoutPorts));
}, timeoutMs);

test('the code of the README has no type errors', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config, ts.sys, root);
  const paths = { shardwright: [join(root, 'src/index.ts')], 'shardwright/embedded': [join(root, 'src/embedded.ts')] };
  const program = ts.createProgram([writeProgram(readmeProgram().source)], { ...options, paths, typeRoots: [join(root, 'node_modules/@types')] });
  const file = program.getSourceFiles().find(({ fileName }) => fileName.endsWith('readme.mts'));
  const diagnostics = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  expect(diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
}, timeoutMs);

function writeProgram(source: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'shardwright-readme-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'readme.mts');
  writeFileSync(path, source);
  return path;
}

/** The servers that one already has are databases of the test's. */
function onDatabases(source: string, { coordinator, nodes }: TestDatabases): string {
  const address = (index: number): string => `host: '${nodes[index]?.host}', port: ${nodes[index]?.port}, database: '${nodes[index]?.database}'`;
  return source
    .replace('postgresql://app:secret@coordinator:5432/app', coordinator.connectionString)
    .replace("host: 'node-1', port: 5432, database: 'app'", address(0))
    .replace("host: 'node-2', port: 5432, database: 'app'", address(1));
}

function withoutPorts(line: string): string {
  return line.replaceAll(/(?<=127\.0\.0\.1:)\d+/g, 'PORT');
}
