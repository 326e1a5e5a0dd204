import type { OracleCase, WriteCase } from '../oracle/oracle-case.ts';

/** What the fuzzer found in queries, shrunk; each is replayed for ever. */
export const readFinds: readonly OracleCase[] = [];

/** What the fuzzer found in writes, shrunk. */
export const writeFinds: readonly WriteCase[] = [];
