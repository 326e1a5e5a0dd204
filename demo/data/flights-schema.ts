import type { TableDefinition } from '../../bench/data/table-definition.ts';

/**
 * US domestic flights of 2001 and their airports. Flights and routes are placed by the airport of departure, so that they join
 * within a shard group; the airports are on every node.
 */
export const flightTables = {
  airports: {
    name: 'airports',
    columns: ['iata', 'name', 'city', 'state', 'country', 'latitude', 'longitude'],
    statements: [
      `CREATE TABLE airports (iata text PRIMARY KEY, name text NOT NULL, city text, state text, country text NOT NULL,
         latitude double precision NOT NULL, longitude double precision NOT NULL)`,
    ],
    placement: { kind: 'reference' },
  },
  flights: {
    name: 'flights',
    columns: ['departed_at', 'delay', 'distance', 'origin', 'destination'],
    statements: [
      `CREATE TABLE flights (departed_at timestamp NOT NULL, delay integer NOT NULL, distance integer NOT NULL,
         origin text NOT NULL, destination text NOT NULL)`,
      'CREATE INDEX flights_route ON flights (origin, destination)',
    ],
    placement: { kind: 'distributed', column: 'origin' },
  },
  routes: {
    name: 'routes',
    columns: ['origin', 'destination', 'count'],
    statements: ['CREATE TABLE routes (origin text, destination text, count integer NOT NULL, PRIMARY KEY (origin, destination))'],
    placement: { kind: 'distributed', column: 'origin', colocateWith: 'flights' },
  },
} as const satisfies Record<string, TableDefinition>;
