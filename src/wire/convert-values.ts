import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { LruMap } from '../base/lru.ts';
import type { FieldDescriptor, RawRow } from '../cluster/node-connection.ts';
import type { WireValue } from './backend-writer.ts';
import type { BindMessage, Format } from './frontend-message.ts';
import { utf8 } from './message-body.ts';
import { isPlainValue } from '../sql/values/plain-value.ts';
import { codecOf, IncorrectBinaryData, type ValueCodec } from './value-codecs.ts';

/** Where values of uncommon types are converted: the coordinator database. */
export interface ConvertingServer {
  query(query: { readonly text: string; readonly values: readonly unknown[] }): Promise<{ readonly rows: readonly RawRow[] }>;
}

interface KnownType {
  /** As it is written in a cast. */
  readonly sql: string;
  readonly send: string;
}

const typesMax = 10_000;
/** Of labels of enums and the like. */
const rememberedMax = 64;

/** Turns values from the format that a client speaks into text and back: common types here, all others by a PostgreSQL. */
export class ValueConverter {
  readonly #types = new LruMap<number, KnownType>(typesMax);
  readonly #read = new LruMap<string, true>(typesMax);

  constructor(private readonly server: ConvertingServer) {}

  /** The text of each parameter. At once where no server has to be asked. Throws 22021, 22P03, and what the server says of bytes that are none of the type's. */
  parameters({ values, formats }: Pick<BindMessage, 'values' | 'formats'>, types: readonly number[]): readonly (string | null)[] | Promise<readonly (string | null)[]> {
    const foreign: Promise<void>[] = [];
    const texts = values.map((value, i): string | null => {
      if (value === null) return null;
      if (formatOf(formats, i) === 'text') return utf8(value);
      const typeOid = types[i] ?? 0;
      const codec = codecOf(typeOid);
      if (codec !== undefined) return decoded(codec, value, i);
      foreign.push(this.#decodedByServer(Buffer.from(value), typeOid).then((text) => void (texts[i] = text)));
      return null;
    });
    return foreign.length === 0 ? texts : Promise.all(foreign).then(() => texts);
  }

  /** How many of the parameters, from the first, a server has to read before they are known to be values of their types; 0 where all are plain, or were read before. */
  doubted(texts: readonly (string | null)[], types: readonly number[]): number {
    return texts.findLastIndex((text, i) => text !== null && !isPlainValue(types[i] ?? 0, text) && this.#read.get(readKey(types[i], text)) !== true) + 1;
  }

  /** A server has read these. Definitions of types change, and settings: what fails then does so when the statement runs. */
  wereRead(texts: readonly (string | null)[], types: readonly number[]): void {
    for (const [i, text] of texts.entries()) if (text !== null && text.length <= rememberedMax) this.#read.set(readKey(types[i], text), true);
  }

  /** The rows in the formats that were asked for; undefined when they are right as they are. */
  rows(rows: readonly RawRow[], fields: readonly FieldDescriptor[], formats: readonly Format[]): readonly (readonly WireValue[])[] | undefined | Promise<readonly (readonly WireValue[])[]> {
    if (!formats.includes('binary') || rows.length === 0) return undefined;
    const binary = fields.flatMap(({ dataTypeID }, column) => (formats[column] === 'binary' ? [{ column, typeOid: dataTypeID, codec: codecOf(dataTypeID) }] : []));
    const encoded = rows.map((row): WireValue[] => [...row]);
    for (const { column, codec } of binary) if (codec !== undefined) encodeColumn(encoded, column, codec);
    const foreign = binary.filter(({ codec }) => codec === undefined);
    return foreign.length === 0 ? encoded : Promise.all(foreign.map(({ column, typeOid }) => this.#encodeColumn(encoded, column, typeOid))).then(() => encoded);
  }

  async #decodedByServer(value: Buffer, typeOid: number): Promise<string> {
    const { sql } = await this.#type(typeOid);
    const { rows } = await this.server.query({ text: `SELECT $1::${sql}::pg_catalog.text`, values: [value] });
    return at(at(rows, 0), 0) ?? '';
  }

  async #encodeColumn(rows: WireValue[][], column: number, typeOid: number): Promise<void> {
    const { sql, send } = await this.#type(typeOid);
    const texts = rows.map((row) => row[column] ?? null);
    const { rows: sent } = await this.server.query({ text: `SELECT ${send}(v::${sql}) FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS given(v, i) ORDER BY i`, values: [texts] });
    for (const [i, row] of rows.entries()) {
      const hex = sent[i]?.[0];
      row[column] = hex === undefined || hex === null ? null : Buffer.from(hex.slice(2), 'hex');
    }
  }

  async #type(oid: number): Promise<KnownType> {
    const known = this.#types.get(oid);
    if (known !== undefined) return known;
    const text = `SELECT CASE WHEN typnamespace = 'pg_catalog'::regnamespace THEN pg_catalog.format_type(oid, NULL) ELSE pg_catalog.format('%s.%I', typnamespace::regnamespace, typname) END,
      CASE WHEN typsend <> 0 AND typtype <> 'p' THEN typsend::regproc::text END FROM pg_catalog.pg_type WHERE oid = $1`;
    const { rows } = await this.server.query({ text, values: [oid] });
    const [sql, send] = rows[0] ?? [];
    if (sql === undefined || sql === null || send === undefined || send === null) {
      throw new ClusterError('unsupportedQuery', `no binary format is available for type ${sql ?? oid}`, { hint: 'Ask for text.' });
    }
    const found = { sql, send };
    this.#types.set(oid, found);
    return found;
  }
}

function readKey(type: number | undefined, text: string): string {
  return `${type ?? 0} ${text}`;
}

/** The format of the value at a place, where there is one for all, one for each, or none, which is text. */
export function formatOf(formats: readonly Format[], place: number): Format {
  return (formats.length === 1 ? formats[0] : formats[place]) ?? 'text';
}

function decoded(codec: ValueCodec, value: Buffer, place: number): string {
  try {
    return codec.decode(value);
  } catch (error) {
    if (!(error instanceof IncorrectBinaryData)) throw error;
    throw new ClusterError('invalidParameter', `incorrect binary data format in bind parameter ${place + 1}`, { sqlState: '22P03', cause: error });
  }
}

function encodeColumn(rows: WireValue[][], column: number, codec: ValueCodec): void {
  for (const row of rows) {
    const value = row[column];
    if (typeof value === 'string') row[column] = codec.encode(value);
  }
}
