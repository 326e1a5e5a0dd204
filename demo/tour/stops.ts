/** One stop of the tour: a statement, shown with its plan, its rows, and whether one plain PostgreSQL gives the same. */
export interface Stop {
  readonly title: string;
  /** A sentence or two on what is to be seen. */
  readonly about: string;
  readonly sql: string;
  readonly values: readonly unknown[];
  /** Whether the order of the rows is part of the answer. */
  readonly ordered: boolean;
  /** Changes rows, so it runs once; reads are timed over a few runs. */
  readonly writes?: boolean;
  /** The SQLSTATE that both must answer with, when it is meant to fail. */
  readonly fails?: string;
}

/** `companies` is the number of companies in the multi-tenant set. */
export function tourStops(companies: number): readonly Stop[] {
  return [...flightStops, ...tenantStops(companies)];
}

const flightStops: readonly Stop[] = [
  {
    title: 'A router query',
    about: 'One airport\'s rows are in one shard group: the statement goes to one node as it is, so any SQL works.',
    sql: `SELECT destination, count(*) AS flights, round(avg(delay), 1) AS average_delay,
       rank() OVER (ORDER BY avg(delay) DESC) AS rank
FROM flights WHERE origin = $1
GROUP BY destination HAVING count(*) >= 20
ORDER BY rank, destination LIMIT 6`,
    values: ['ORD'],
    ordered: true,
  },
  {
    title: 'A fan-out with GROUP BY, HAVING, ORDER BY and LIMIT',
    about: 'Every shard aggregates its own rows; the partial counts and sums are combined exactly.',
    sql: `SELECT destination, count(*) AS flights, avg(delay) AS average_delay, max(distance) AS farthest,
       count(DISTINCT origin) AS origins
FROM flights GROUP BY destination
HAVING count(*) > 2000 ORDER BY avg(delay) DESC, destination LIMIT 8`,
    values: [],
    ordered: true,
  },
  {
    title: 'A co-located join',
    about: 'Flights and routes of an airport live in the same shard group: each node joins its own.',
    sql: `SELECT r.origin, r.destination, r.count AS in_2008, count(*) AS here,
       round(avg(f.delay), 2) AS average_delay
FROM routes r JOIN flights f ON f.origin = r.origin AND f.destination = r.destination
GROUP BY r.origin, r.destination, r.count
ORDER BY here DESC, r.origin, r.destination LIMIT 6`,
    values: [],
    ordered: true,
  },
  {
    title: 'A reference join',
    about: 'The airports are on every node, so any table joins them without moving a row.',
    sql: `SELECT a.state, count(*) AS flights, round(avg(f.delay), 2) AS average_delay,
       max(f.departed_at) AS last
FROM flights f JOIN airports a ON a.iata = f.origin
GROUP BY a.state ORDER BY average_delay DESC, a.state LIMIT 6`,
    values: [],
    ordered: true,
  },
  {
    title: 'All groups of a fan-out',
    about: 'Every group is compared with the plain server, standard deviations to the last digit.',
    sql: `SELECT origin, destination, count(*), stddev(delay), min(departed_at), sum(distance)
FROM flights GROUP BY origin, destination`,
    values: [],
    ordered: false,
  },
];

function tenantStops(companies: number): readonly Stop[] {
  const tenants = [1, 2, 3, 4, 5, 6].map((rank) => Math.min(companies, rank));
  const rowFor = (id: number): string => `(${tenants[id - 900_001] ?? 1}, ${id}, 'launch-${id}', 'flat', 'running', 1500.00)`;
  const rows = [900_001, 900_002, 900_003, 900_004, 900_005].map(rowFor);
  const insert = 'INSERT INTO campaigns (company_id, id, name, cost_model, state, monthly_budget) VALUES\n ';
  return [
    {
      title: 'One tenant of many',
      about: 'Company 1 has by far the most clicks. Three of its tables joined, on its own node.',
      sql: `SELECT p.name, p.state, count(DISTINCT a.id) AS ads, count(*) AS clicks, sum(c.cost) AS cost
FROM campaigns p JOIN ads a ON a.company_id = p.company_id AND a.campaign_id = p.id
JOIN clicks c ON c.company_id = a.company_id AND c.ad_id = a.id
WHERE p.company_id = $1
GROUP BY p.id, p.name, p.state ORDER BY cost DESC, p.name LIMIT 5`,
      values: [1],
      ordered: true,
    },
    {
      title: 'All tenants, by continent',
      about: 'Clicks of all shards, joined with a reference table.',
      sql: `SELECT n.continent, count(*) AS clicks, sum(c.cost) AS cost, avg(c.duration_ms) AS average_ms
FROM clicks c JOIN countries n ON n.code = c.country_code
GROUP BY n.continent ORDER BY clicks DESC`,
      values: [],
      ordered: true,
    },
    {
      title: 'An atomic insert for many tenants',
      about: 'Five companies on several nodes: committed on all of them or on none.',
      sql: `${insert}${rows.join(',\n ')}\nRETURNING company_id, id, name`,
      values: [],
      ordered: true,
      writes: true,
    },
    {
      title: 'The same, with one bad row',
      about: 'The last row exists already, so no row may be kept, on whichever node it was.',
      sql: `${insert}(6, 900006, 'too-late', 'flat', 'running', NULL),\n ${rows[0] ?? ''}`,
      values: [],
      ordered: true,
      writes: true,
      fails: '23505',
    },
    {
      title: 'What the inserts left',
      about: 'Five rows, and nothing of the statement that failed.',
      sql: 'SELECT company_id, id, name FROM campaigns WHERE id > 900000 ORDER BY id',
      values: [],
      ordered: true,
    },
  ];
}
