import type { Interleaving } from './interleaving.ts';

/**
 * The anomalies by their usual names: Adya, Weak Consistency, 1999, and Berenson et al., A Critique of ANSI SQL Isolation Levels, 1995; most interleavings follow
 * Kleppmann's Hermitage.
 */
export const interleavings: readonly Interleaving[] = [
  { name: 'dirty write (G0)', steps: ['A x := 11', 'B x := 12', 'A y := 21', 'A commit', 'B y := 22', 'B commit'] },
  { name: 'dirty read (G1a)', steps: ['A x := 101', 'B read all', 'A abort', 'B read all', 'B commit'] },
  { name: 'intermediate read (G1b)', steps: ['A x := 101', 'B read all', 'A x := 11', 'A commit', 'B read all', 'B commit'] },
  { name: 'circular flow of information (G1c)', steps: ['A x := 11', 'B y := 22', 'A read y', 'B read x', 'A commit', 'B commit'] },
  { name: 'observed transaction vanishes (OTV)', steps: ['A x := 11', 'A y := 19', 'B x := 12', 'A commit', 'C read x', 'B y := 18', 'C read y', 'B commit', 'C read y', 'C read x', 'C commit'] },
  { name: 'non-repeatable read (P2)', steps: ['A read x', 'B x := 11', 'B commit', 'A read x', 'A commit'] },
  { name: 'phantom (P3)', steps: ['A read where value % 3 = 0', 'B insert z 30', 'B commit', 'A read where value % 3 = 0', 'A commit'] },
  { name: 'predicate-many-preceders (PMP)', steps: ['A all += 10', 'B delete where value = 20', 'A commit', 'B read all', 'B commit'] },
  { name: 'lost update (P4)', steps: ['A read x', 'B read x', 'A x := 11', 'B x := 12', 'A commit', 'B commit'] },
  { name: 'increments that meet', steps: ['A x += 1', 'B x += 1', 'A commit', 'B commit'] },
  { name: 'read skew (G-single)', steps: ['A read x', 'B read all', 'B x := 12', 'B y := 18', 'B commit', 'A read y', 'A commit'] },
  { name: 'read skew, then a write', steps: ['A read x', 'B read all', 'B x := 12', 'B y := 18', 'B commit', 'A y += 1', 'A commit'] },
  { name: 'write skew (G2-item)', steps: ['A read all', 'B read all', 'A x := 11', 'B y := 21', 'A commit', 'B commit'] },
  { name: 'write skew by phantoms (G2)', steps: ['A read where value % 3 = 0', 'B read where value % 3 = 0', 'A insert z 30', 'B insert w 42', 'A commit', 'B commit'] },
  { name: 'long fork', steps: ['C read y', 'D read x', 'A x := 11', 'A commit', 'B y := 21', 'B commit', 'C read x', 'D read y', 'C commit', 'D commit'] },
];
