import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { DataRow } from '../../bench/data/copy-text.ts';
import { vegaFile } from './vega-file.ts';

/** All the flights there are. */
export const flightsMax = 3_000_000;

/** The first flights, by time of departure, in the column order of the `flights` table. One row group of the file is in memory at a time. */
export async function* flightRows(count: number): AsyncGenerator<DataRow, void, undefined> {
  const file = await asyncBufferFromFile(vegaFile('flights-3m.parquet'));
  const metadata = await parquetMetadataAsync(file);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = Math.min(count, rowStart + Number(group.num_rows));
    if (rowStart >= rowEnd) return;
    const rows = await parquetReadObjects({ file, metadata, rowStart, rowEnd, compressors });
    for (const row of rows) yield flightRow(row);
    rowStart = rowEnd;
  }
}

function flightRow(row: Readonly<Record<string, unknown>>): DataRow {
  const { date, delay, distance, origin, destination } = row;
  if (!(date instanceof Date)) throw new TypeError('a flight lacks its time of departure');
  return [date.toISOString().slice(0, -1), Number(delay), Number(distance), String(origin), String(destination)];
}
