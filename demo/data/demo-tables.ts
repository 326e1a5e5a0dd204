import { createReadStream } from 'node:fs';
import { copyText, copyTextAsync, type CopyTextOptions, type DataRow } from '../../bench/data/copy-text.ts';
import type { SaasRows } from '../../bench/data/saas-rows.ts';
import { saasTables } from '../../bench/data/saas-schema.ts';
import { copyStatement, type TableDefinition } from '../../bench/data/table-definition.ts';
import { flightRows } from './flight-rows.ts';
import { flightTables } from './flights-schema.ts';
import { vegaFile } from './vega-file.ts';

/** A table of the demo and the COPY that fills it. */
export interface DemoTable {
  readonly table: TableDefinition;
  readonly sql: string;
  readonly rowsExpected: number;
  /** The COPY's text, made anew at each call. */
  readonly source: (onProgress: (rows: number) => void) => CopySource;
}

export type CopySource = Iterable<string> | AsyncIterable<string | Uint8Array>;

const airportsExpected = 3376;
const routesExpected = 5366;

/** In the order in which they are made and filled: what others are co-located with comes first. */
export function demoTables(flights: number, saas: SaasRows): readonly DemoTable[] {
  const { countries, companies, campaigns, ads, clicks } = saasTables;
  return [
    csvTable(flightTables.airports, 'airports.csv', airportsExpected),
    {
      ...textTable(flightTables.flights, flights),
      source: (onProgress) => copyTextAsync(flightRows(flights), { onProgress }),
    },
    csvTable(flightTables.routes, 'flights-airport.csv', routesExpected),
    generatedTable(countries, saas.countries, 24),
    generatedTable(companies, saas.companies, saas.size.companies),
    generatedTable(campaigns, saas.campaigns, saas.size.campaigns),
    generatedTable(ads, saas.ads, saas.size.ads),
    generatedTable(clicks, saas.clicks, saas.size.clicks),
  ];
}

function textTable(table: TableDefinition, rowsExpected: number): Omit<DemoTable, 'source'> {
  return { table, rowsExpected, sql: copyStatement(table) };
}

function generatedTable(table: TableDefinition, rowsOf: () => Iterable<DataRow>, rowsExpected: number): DemoTable {
  return { ...textTable(table, rowsExpected), source: (onProgress: CopyTextOptions['onProgress']) => copyText(rowsOf(), { onProgress }) };
}

/** A file as it is: the servers read CSV themselves. */
function csvTable(table: TableDefinition, file: string, rowsExpected: number): DemoTable {
  return {
    table,
    rowsExpected,
    sql: `COPY ${table.name} (${table.columns.join(', ')}) FROM STDIN WITH (FORMAT csv, HEADER true)`,
    source: () => createReadStream(vegaFile(file)),
  };
}
