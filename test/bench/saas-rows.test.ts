import { describe, expect, it } from 'vitest';
import { saasRows, saasSize } from '../../bench/data/saas-rows.ts';
import { saasTables } from '../../bench/data/saas-schema.ts';

const size = saasSize(20_000);

describe('saasRows', () => {
  it('makes the same rows for the same seed, and others for another', () => {
    const first = [...saasRows(1, size).clicks()];
    expect([...saasRows(1, size).clicks()]).toEqual(first);
    expect([...saasRows(2, size).clicks()]).not.toEqual(first);
  });

  it('keeps its rows from version to version, so that figures can be compared', () => {
    const [first] = saasRows(1, size).clicks();
    expect(first).toMatchInlineSnapshot(`
      [
        8,
        1,
        741,
        "2024-01-01T00:00:01.000Z",
        "TR",
        "https://site-710.example/page",
        "2.5592",
        53058,
      ]
    `);
  });

  it('gives each table as many rows and columns as it says', () => {
    const rows = saasRows(1, size);
    const counts = { companies: size.companies, campaigns: size.campaigns, ads: size.ads, clicks: size.clicks };
    for (const name of ['companies', 'campaigns', 'ads', 'clicks'] as const) {
      const made = [...rows[name]()];
      expect(made).toHaveLength(counts[name]);
      expect(new Set(made.map((row) => row.length))).toEqual(new Set([saasTables[name].columns.length]));
    }
  });

  it('keeps keys within the company: a click is of its company\'s ad, an ad of its company\'s campaign', () => {
    const rows = saasRows(3, size);
    const campaigns = new Set([...rows.campaigns()].map(([company, id]) => `${company} ${id}`));
    const ads = [...rows.ads()];
    expect(ads.filter(([company, , campaign]) => !campaigns.has(`${company} ${campaign}`))).toEqual([]);
    const adKeys = new Set(ads.map(([company, id]) => `${company} ${id}`));
    expect([...rows.clicks()].filter(([company, , ad]) => !adKeys.has(`${company} ${ad}`))).toEqual([]);
  });

  it('knows the company of a click without its row', () => {
    const rows = saasRows(4, size);
    for (const [company, id] of rows.clicks()) expect(rows.companyOfClick(Number(id))).toBe(company);
  });

  it('skews clicks as Zipf\'s law says: the first company has about twice the second\'s', () => {
    const counts = new Map<unknown, number>();
    for (const [company] of saasRows(5, size).clicks()) counts.set(company, (counts.get(company) ?? 0) + 1);
    const [first = 0, second = 0, tenth = 0] = [1, 2, 10].map((company) => counts.get(company) ?? 0);
    expect(first / second).toBeGreaterThan(1.8);
    expect(first / second).toBeLessThan(2.2);
    expect(first / tenth).toBeGreaterThan(8);
  });
});
