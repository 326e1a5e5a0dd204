import { DatabaseError } from 'pg';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeNotice } from '../cluster/node-connection.ts';

type Fields = (readonly [letter: string, value: string])[];

/** The fields of an ErrorResponse. A bug of ours is XX000; what ended a node's session does not end the client's. Where a server names a routine of its own, an error of ours has its number. */
export function errorFields(error: unknown, severity: 'ERROR' | 'FATAL' = 'ERROR'): Fields {
  const code = sqlStateOf(error);
  const isReported = error instanceof DatabaseError || error instanceof ClusterError || (code !== undefined && /^[0-9A-Z]{5}$/.test(code));
  const message = error instanceof Error ? error.message : String(error);
  const base: Fields = [['S', severity], ['V', severity], ['C', isReported && code !== undefined ? code : 'XX000'], ['M', message]];
  if (!isReported || typeof error !== 'object' || error === null) return base;
  const more = fieldsOf(error);
  return error instanceof ClusterError ? [...base, ...more, ['R', error.number]] : [...base, ...more];
}

function fieldsOf(told: object): Fields {
  return letters.flatMap(([letter, name]): Fields => {
    const value: unknown = Reflect.get(told, name);
    return typeof value === 'string' && value !== '' ? [[letter, value]] : [];
  });
}

const letters = [
  ['D', 'detail'], ['H', 'hint'], ['P', 'position'], ['p', 'internalPosition'], ['q', 'internalQuery'], ['W', 'where'], ['s', 'schema'], ['t', 'table'], ['c', 'column'], ['d', 'dataType'], ['n', 'constraint'],
  ['F', 'file'], ['L', 'line'], ['R', 'routine'],
] as const;

/** The fields of a NoticeResponse. */
export function noticeFields(notice: NodeNotice): Fields {
  const severity = notice.severity ?? 'NOTICE';
  return [['S', severity], ['V', severity], ['C', notice.code ?? '00000'], ['M', notice.message ?? ''], ...fieldsOf(notice)];
}
