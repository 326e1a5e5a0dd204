import { DatabaseError } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { transactionAborted } from '../session/session-answers.ts';
import type { StatementShape } from '../cluster/node-connection.ts';
import { withParameterTypes } from '../sql/parameter-types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { parseOne, type Statement } from '../sql/parse.ts';
import { type AnswerContext, answerStatement, isQuery, type RelayedAnswer, RowSink } from './answer-statement.ts';
import { BackendWriter } from './backend-writer.ts';
import type { ClientPortal, ClientStatement } from './client-statement.ts';
import { commandTag } from './command-tag.ts';
import { formatOf } from './convert-values.ts';
import type { BindMessage, ParseMessage } from './frontend-message.ts';
import { protocolViolation } from './protocol-error.ts';
import { codecOf } from './value-codecs.ts';

/** What one client may have prepared; statements that nobody closes would else fill memory. */
const statementsMax = 10_000;
const unknownType = 705;
const nothing: StatementShape = { parameterTypes: [], fields: [] };

/** The statements and portals of one client, by name. */
export class ExtendedQuery {
  readonly #statements = new Map<string, ClientStatement>();
  readonly #portals = new Map<string, ClientPortal>();
  #opened = 0;

  constructor(private readonly context: AnswerContext) {}

  async parse({ name, text, types }: ParseMessage): Promise<void> {
    const { session, io } = this.context;
    if (name !== '' && this.#statements.has(name)) throw new ClusterError('duplicatePreparedStatement', `prepared statement "${name}" already exists`);
    if (name === '') this.#statements.delete('');
    const statements = await session.parseOrAsk({ text });
    if (statements.length > 1) throw new ClusterError('syntaxError', 'cannot insert multiple commands into a prepared statement');
    const [statement] = statements;
    const prepared = statement === undefined ? { statement, shape: nothing, description: undefined } : await this.#shaped(statement, types.map((type) => (type === unknownType ? 0 : type)));
    if (this.#statements.size >= statementsMax) throw new ClusterError('resultTooLarge', `a session may have ${statementsMax} prepared statements`, { hint: 'Close some, or DEALLOCATE ALL.' });
    this.#statements.set(name, prepared);
    io.out.parseComplete();
  }

  /** Types that a client gives and a server would not infer have to reach every server: as casts. */
  async #shaped(statement: Statement, types: readonly number[]): Promise<ClientStatement> {
    const { session } = this.context;
    const inferred = types.some((type) => type !== 0) ? await session.shapes.of(statement, []).catch(() => undefined) : undefined;
    const isInferred = types.every((type, i) => type === 0 || inferred?.parameterTypes[i] === type);
    if (isInferred) return { statement, shape: inferred ?? (await session.shapes.of(statement, [])), description: undefined };
    const shape = await session.shapes.of(statement, types);
    const names = await session.shapes.typeNames(types);
    return { statement: parseOne(withParameterTypes(statement, names)), shape, description: undefined };
  }

  /** At once, where no server has to be asked. */
  bind(message: BindMessage): Promise<void> | undefined {
    const { converter, session } = this.context;
    const prepared = this.#statement(message.statement);
    const { parameterTypes } = prepared.shape;
    if (message.values.length !== parameterTypes.length) {
      throw protocolViolation(`bind message supplies ${message.values.length} parameters, but prepared statement "${message.statement}" requires ${parameterTypes.length}`);
    }
    const { portal, resultFormats } = message;
    if (session.status === 'failed' && !endsTransaction(prepared.statement)) throw transactionAborted();
    if (portal !== '' && this.#portals.has(portal)) throw new ClusterError('invalidParameter', `cursor "${portal}" already exists`, { sqlState: '42P03' });
    const columns = prepared.shape.fields.length;
    if (resultFormats.length > 1 && resultFormats.length !== columns) throw protocolViolation(`bind message has ${resultFormats.length} result formats but query has ${columns} columns`);
    const texts = converter.parameters(message, parameterTypes);
    const made = (values: readonly (string | null)[]): void => {
      this.#portals.set(portal, { prepared, values, resultFormats, opened: undefined, isDone: false });
      this.context.io.out.bindComplete();
    };
    if (!(texts instanceof Promise) && this.#portals.get(portal)?.opened === undefined && converter.doubted(texts, parameterTypes) === 0) {
      made(texts);
      return undefined;
    }
    return this.#drop(portal).then(async () => made(await this.#read(portal, await texts, parameterTypes)));
  }

  /** PostgreSQL reads values at Bind, and says of one that is none. */
  async #read(portal: string, texts: readonly (string | null)[], types: readonly number[]): Promise<readonly (string | null)[]> {
    const { converter, session } = this.context;
    const doubted = converter.doubted(texts, types);
    if (doubted === 0) return texts;
    const [values, theirs] = [texts.slice(0, doubted), types.slice(0, doubted)];
    try {
      await session.shapes.readValues(theirs, values);
    } catch (error) {
      if (portal !== '' && error instanceof DatabaseError) error.where = error.where?.replace(/^unnamed portal/m, `portal "${portal}"`);
      throw error;
    }
    converter.wereRead(values, theirs);
    return texts;
  }

  describe(what: 'statement' | 'portal', name: string): Promise<void> | undefined {
    const { out } = this.context.io;
    if (what === 'portal' && name !== '' && !this.#portals.has(name) && this.context.session.status === 'open') return this.#describeCursor(name);
    const portal = what === 'portal' ? this.#portal(name) : undefined;
    const prepared = portal?.prepared ?? this.#statement(name);
    const { shape } = prepared;
    if (portal === undefined) out.parameterDescription(shape.parameterTypes);
    if (!hasRows(prepared)) out.noData();
    else if (portal?.resultFormats.includes('binary') === true) out.rowDescription(shape.fields, shape.fields.map((_, i) => formatOf(portal.resultFormats, i)));
    else out.raw((prepared.description ??= describedAsText(shape)));
    return undefined;
  }

  /** A cursor of DECLARE is a portal, too. */
  async #describeCursor(name: string): Promise<void> {
    const { session, io } = this.context;
    const { fields } = await session.shapes.of(parseOne(`FETCH FORWARD 0 FROM ${quoteIdentifier(name)}`), []);
    if (fields.length === 0) this.#portal(name);
    io.out.rowDescription(fields, []);
  }

  /** A portal whose rows may go to the client as a node sends them; undefined where that is not all to be done. */
  relayed(name: string): RelayedAnswer | undefined {
    const portal = this.#portals.get(name);
    if (portal === undefined || portal.isDone || portal.opened !== undefined) return undefined;
    const { prepared: { statement, shape }, values, resultFormats } = portal;
    if (statement === undefined || (resultFormats.includes('binary') && !shape.fields.every(({ dataTypeID }) => codecOf(dataTypeID) !== undefined))) return undefined;
    return { statement, values, resultFormats };
  }

  /** All its rows are being read. */
  isRun(portal: string): void {
    this.#portal(portal).isDone = true;
  }

  /** `isLast`: nothing but Sync comes behind it, so a statement that stands alone needs no transaction of its own. */
  async execute(name: string, rowsMax: number, { isLast, signal }: { readonly isLast: boolean; readonly signal: AbortSignal }): Promise<void> {
    const { session, io } = this.context;
    const portal = this.#portal(name);
    const { statement } = portal.prepared;
    if (statement === undefined) {
      io.out.emptyQuery();
      return;
    }
    if (portal.isDone) {
      if (!hasRows(portal.prepared)) throw new ClusterError('invalidParameter', `portal "${name}" cannot be run`, { sqlState: '55000' });
      io.out.complete(commandTag(statement.node, { command: 'SELECT', rowCount: 0 }));
      return;
    }
    const isParts = rowsMax > 0 && hasRows(portal.prepared);
    if (!isLast || isParts || session.isImplicit) await session.joinUnit(statement);
    if (isParts || portal.opened !== undefined) {
      await this.#executePart(portal, statement, { rowsMax, signal });
      return;
    }
    portal.isDone = true;
    await answerStatement({ statement, values: portal.values, resultFormats: portal.resultFormats, describes: false, signal }, this.context);
  }

  async #executePart(portal: ClientPortal, statement: Statement, { rowsMax, signal }: { readonly rowsMax: number; readonly signal: AbortSignal }): Promise<void> {
    const { session, io, converter } = this.context;
    if (portal.opened === undefined) {
      this.#opened += 1;
      const name = `<portal ${this.#opened}>`;
      const command = await session.portals.open(name, statement, { text: statement.text, values: portal.values, signal });
      portal.opened = { name, command };
    }
    const { opened } = portal;
    const wanted = rowsMax === 0 ? Infinity : rowsMax;
    const sink = new RowSink(io, converter, { formats: portal.resultFormats, describes: false });
    sink.describe(portal.prepared.shape.fields);
    while (sink.rows < wanted) {
      const asked = Math.min(wanted - sink.rows, portalBatch);
      const rows = await session.portals.fetch(opened.name, asked, signal);
      await sink.write(rows);
      if (rows.length < asked) {
        portal.isDone = true;
        io.out.complete(commandTag(statement.node, { command: opened.command, rowCount: sink.rows }));
        return;
      }
    }
    io.out.portalSuspended();
  }

  /** The statement that a portal runs, if there is one. */
  statementOf(portal: string): Statement | undefined {
    return this.#portals.get(portal)?.prepared.statement;
  }

  async close(what: 'statement' | 'portal', name: string): Promise<void> {
    if (what === 'statement') this.#statements.delete(name);
    else await this.#drop(name);
    this.context.io.out.closeComplete();
  }

  /** Portals end with their transaction. */
  endTransaction(): void {
    this.#portals.clear();
  }

  forgetStatements(name?: string): void {
    if (name === undefined) this.#statements.clear();
    else this.#statements.delete(name);
  }

  /** A simple query replaces the unnamed statement and portal. */
  async forgetUnnamed(): Promise<void> {
    this.#statements.delete('');
    await this.#drop('');
  }

  async #drop(name: string): Promise<void> {
    const opened = this.#portals.get(name)?.opened;
    this.#portals.delete(name);
    if (opened !== undefined) await this.context.session.portals.close(opened.name);
  }

  #statement(name: string): ClientStatement {
    const found = this.#statements.get(name);
    if (found !== undefined) return found;
    throw new ClusterError('invalidParameter', name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name}" does not exist`, { sqlState: '26000' });
  }

  #portal(name: string): ClientPortal {
    const found = this.#portals.get(name);
    if (found !== undefined) return found;
    throw new ClusterError('invalidParameter', `portal "${name}" does not exist`, { sqlState: '34000' });
  }
}

const portalBatch = 1_000;

/** It may be bound in a transaction that has failed. */
function endsTransaction(statement: Statement | undefined): boolean {
  return statement !== undefined && 'TransactionStmt' in statement.node && /^TRANS_STMT_(?:COMMIT|ROLLBACK|ROLLBACK_TO|PREPARE)$/.test(statement.node.TransactionStmt.kind ?? '');
}

/** Of a query without columns there are still rows. */
function hasRows({ statement, shape }: ClientStatement): boolean {
  return shape.fields.length > 0 || (statement !== undefined && isQuery(statement));
}

function describedAsText({ fields }: StatementShape): Buffer {
  const writer = new BackendWriter();
  writer.rowDescription(fields, []);
  return writer.take();
}
