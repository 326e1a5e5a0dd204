export interface FanOutQuery {
  readonly name: string;
  readonly sql: string;
  /** Whether the rows have one order only. */
  readonly ordered: boolean;
  /** Citus's time as a multiple of plain's on the same form of query; tuned, where that was measured. */
  readonly citusRatio: number;
}

export const fanOutQueries: readonly FanOutQuery[] = [
  { name: 'count', citusRatio: 0.67, ordered: true, sql: 'SELECT count(*) FROM clicks' },
  {
    name: 'group-by-other', citusRatio: 0.97, ordered: false,
    sql: 'SELECT country_code, sum(cost), avg(cost), count(*) FROM clicks GROUP BY country_code',
  },
  {
    name: 'group-by-other-count-distinct', citusRatio: 2.5, ordered: false,
    sql: 'SELECT country_code, sum(cost), avg(cost), count(*), count(DISTINCT ad_id) FROM clicks GROUP BY country_code',
  },
  { name: 'count-distinct', citusRatio: 3.6, ordered: true, sql: 'SELECT count(DISTINCT ad_id) FROM clicks' },
  {
    name: 'group-by-tenant', citusRatio: 0.75, ordered: false,
    sql: 'SELECT company_id, count(*), sum(cost), max(clicked_at) FROM clicks GROUP BY company_id',
  },
  { name: 'stddev', citusRatio: 3.8, ordered: false, sql: 'SELECT country_code, stddev(cost) FROM clicks GROUP BY country_code' },
  {
    name: 'having', citusRatio: 1.5, ordered: false,
    sql: 'SELECT site_url, count(*), avg(cost) FROM clicks GROUP BY site_url HAVING avg(cost) > 2.5 AND count(*) > 10',
  },
  { name: 'top-10', citusRatio: 0.68, ordered: true, sql: 'SELECT id, company_id, cost, clicked_at FROM clicks ORDER BY cost DESC, id LIMIT 10' },
  {
    name: 'offset-10000', citusRatio: 3.2, ordered: true,
    sql: 'SELECT id, company_id, cost, clicked_at FROM clicks ORDER BY cost DESC, id LIMIT 10 OFFSET 10000',
  },
  {
    name: 'unindexed-filter', citusRatio: 1.3, ordered: false,
    sql: 'SELECT id, company_id, site_url FROM clicks WHERE duration_ms = 12345',
  },
  {
    name: 'colocated-join', citusRatio: 0.85, ordered: false,
    sql: `SELECT a.campaign_id % 10 AS bucket, count(*), sum(c.cost) FROM ads a JOIN clicks c ON c.company_id = a.company_id AND c.ad_id = a.id
          GROUP BY a.campaign_id % 10`,
  },
  {
    name: 'reference-join', citusRatio: 1.5, ordered: false,
    sql: `SELECT n.continent, count(*), sum(c.cost) FROM clicks c JOIN countries n ON n.code = c.country_code GROUP BY n.continent`,
  },
];
