import type { CopyStmt, DefElem } from '@pgsql/types';
import { ClusterError } from '../../base/errors.ts';
import { nameParts } from '../../sql/ast.ts';
import type { Node } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import { copyOptions } from './copy-options.ts';
import type { CopyOptions } from './copy-options.ts';
import { copyCondition } from './copy-condition.ts';

/** A COPY from or to the client. */
export interface CopyStatement {
  readonly direction: 'from' | 'to';
  readonly subject: CopySubject;
  readonly options: CopyOptions;
  /** The options as written, for the commands on the shards. */
  readonly elements: readonly DefElem[];
  /** COPY FROM's WHERE, its text without the keyword, columns not qualified by the table; fit for a shard. */
  readonly condition: string | undefined;
}

export type CopySubject =
  | {
      readonly kind: 'table';
      readonly schema: string | undefined;
      readonly name: string;
      /** As listed; undefined for all but the generated ones. */
      readonly columns: readonly string[] | undefined;
    }
  /** COPY (query) TO. */
  | { readonly kind: 'query'; readonly query: Node };

/**
 * Reads a parsed COPY. `unsupportedQuery` for files and programs of the server. Combinations of options that PostgreSQL refuses are let
 * through: a server says so.
 */
export function copyStatement(statement: Statement, copy: CopyStmt): CopyStatement {
  refuseServerFiles(copy);
  const elements = (copy.options ?? []).flatMap((node) => ('DefElem' in node ? [node.DefElem] : []));
  const options = copyOptions(elements);
  return {
    direction: copy.is_from === true ? 'from' : 'to',
    subject: subjectOf(copy),
    options,
    elements,
    condition: copy.whereClause === undefined ? undefined : copyCondition(statement, copy.relation, copy.whereClause),
  };
}

function subjectOf(copy: CopyStmt): CopySubject {
  if (copy.query !== undefined) return { kind: 'query', query: copy.query };
  return {
    kind: 'table',
    schema: copy.relation?.schemaname,
    name: copy.relation?.relname ?? '',
    columns: copy.attlist === undefined ? undefined : nameParts(copy.attlist),
  };
}

/** For a COPY of what is not the coordinator database's alone: `unsupportedQuery` for encodings other than UTF8, and for a limit on rejected rows. */
export function refuseSpreadOptions({ options }: CopyStatement): void {
  refuseEncoding(options);
  if (!options.rejectLimit) return;
  throw new ClusterError('unsupportedQuery', 'cannot limit the rejected rows of a COPY into several shards', {
    detail: 'REJECT_LIMIT would count in each shard on its own.',
    hint: 'Leave out REJECT_LIMIT.',
  });
}

function refuseServerFiles(copy: CopyStmt): void {
  if (copy.filename === undefined && copy.is_program !== true) return;
  const what = copy.is_program === true ? 'a program' : 'a file';
  throw new ClusterError('unsupportedQuery', `cannot COPY a distributed table from or to ${what} on a server`, {
    detail: 'The rows are on several servers, each with files of its own.',
    hint: 'Use COPY FROM STDIN or COPY TO STDOUT.',
  });
}

function refuseEncoding({ encoding }: CopyOptions): void {
  if (encoding === undefined) return;
  const name = encoding.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  if (name === 'utf8' || name === 'unicode') return;
  throw new ClusterError('unsupportedQuery', `cannot COPY a distributed table in encoding "${encoding}"`, {
    detail: 'The distribution column is read as UTF-8.',
    hint: 'Convert the data to UTF-8, and use ENCODING \'UTF8\' or none.',
  });
}
