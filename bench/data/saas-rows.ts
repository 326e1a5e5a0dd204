import type { DataRow } from './copy-text.ts';
import { seededRandom, type RandomSource } from './random.ts';
import { countries } from './saas-countries.ts';
import { zipf } from './zipf.ts';

export interface SaasSize {
  readonly companies: number;
  readonly campaigns: number;
  readonly ads: number;
  readonly clicks: number;
}

export interface SaasRows {
  readonly size: SaasSize;
  /** Rows in the column order of `saasTables`. Ids are dense and start at 1. */
  readonly countries: () => Iterable<DataRow>;
  readonly companies: () => Iterable<DataRow>;
  readonly campaigns: () => Iterable<DataRow>;
  readonly ads: () => Iterable<DataRow>;
  readonly clicks: () => Iterable<DataRow>;
  /** The company of a click, without making its row. `id` is from 1 to `size.clicks`. */
  readonly companyOfClick: (id: number) => number;
}

/** Sizes in proportion: 1000 companies, 10 campaigns and 50 ads each on average, and the clicks. */
export function saasSize(clicks: number): SaasSize {
  const companies = Math.max(10, Math.min(1000, Math.round(clicks / 1000)));
  return { companies, campaigns: companies * 10, ads: companies * 50, clicks };
}

/** The multi-tenant data set: the same for the same seed and size. Company 1 is the largest (Zipf's law, exponent 1). */
export function saasRows(seed: number, size: SaasSize): SaasRows {
  const random = seededRandom(seed);
  const tenants = zipf(size.companies, 1);
  const campaigns = ownership(tenants.split(size.campaigns));
  const ads = ownership(tenants.split(size.ads));
  const companyOfClick = (id: number): number => tenants.rankAt(random.uniformAt(streams.clickCompany, id)) + 1;
  return {
    size,
    companyOfClick,
    countries: () => countries,
    companies: () => rowsOf(size.companies, (id) => companyRow(random, id)),
    campaigns: () => rowsOf(size.campaigns, (id) => campaignRow(random, id, campaigns.ownerOf(id))),
    ads: () => rowsOf(size.ads, (id) => adRow(random, id, { company: ads.ownerOf(id), campaigns })),
    clicks: () => rowsOf(size.clicks, (id) => clickRow(random, id, { company: companyOfClick(id), ads })),
  };
}

/** One stream of random numbers per column, so that adding a column leaves the others as they are. */
const streams = {
  companyName: 1, companyCountry: 2, companyDay: 3, campaignModel: 4, campaignState: 5, campaignBudget: 6,
  adCampaign: 7, adLimit: 8, clickCompany: 9, clickAd: 10, clickCountry: 11, clickSite: 12, clickCost: 13, clickDuration: 14,
  adWord: 15, campaignWord: 16,
} as const;

/** Consecutive ids dealt out to owners: owner 1 has the first `counts[0]` ids and so on. */
interface Ownership {
  ownerOf(id: number): number;
  /** First id and number of ids. */
  rangeOf(owner: number): { readonly first: number; readonly count: number };
}

function ownership(counts: readonly number[]): Ownership {
  const owners: number[] = [];
  const firsts: number[] = [];
  for (const [index, count] of counts.entries()) {
    firsts.push(owners.length + 1);
    for (let made = 0; made < count; made += 1) owners.push(index + 1);
  }
  return {
    ownerOf: (id) => owners[id - 1] ?? 1,
    rangeOf: (owner) => ({ first: firsts[owner - 1] ?? 1, count: counts[owner - 1] ?? 1 }),
  };
}

function* rowsOf(count: number, row: (id: number) => DataRow): Generator<DataRow, void, undefined> {
  for (let id = 1; id <= count; id += 1) yield row(id);
}

const words = ['amber', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'grove', 'harbor', 'iris', 'juniper', 'kestrel', 'lumen', 'maple', 'nova', 'opal', 'quartz'] as const;
const suffixes = ['Labs', 'Foods', 'Logistics', 'Health', 'Media', 'Energy', 'Studio', 'Works'] as const;
const costModels = ['cost_per_click', 'cost_per_impression', 'flat'] as const;
const states = ['running', 'running', 'running', 'paused', 'archived'] as const;
const dayMs = 86_400_000;
const firstCompanyMs = Date.UTC(2019, 0, 1);
const firstClickMs = Date.UTC(2024, 0, 1);

function companyRow(random: RandomSource, id: number): DataRow {
  const word = pick(words, random.integerAt(streams.companyName, id));
  const suffix = pick(suffixes, random.integerAt(streams.companyName, id) >>> 8);
  const createdMs = firstCompanyMs + random.belowAt(streams.companyDay, id, 1800) * dayMs;
  return [id, `${capital(word)} ${suffix} ${id}`, countryAt(random, streams.companyCountry, id), new Date(createdMs).toISOString()];
}

function campaignRow(random: RandomSource, id: number, company: number): DataRow {
  const budget = random.belowAt(streams.campaignBudget, id, 2_000_000);
  return [
    company, id, `${pick(words, random.integerAt(streams.campaignWord, id))}-${id}`,
    pick(costModels, random.integerAt(streams.campaignModel, id)), pick(states, random.integerAt(streams.campaignState, id)),
    budget % 20 === 0 ? null : decimal(budget, 2),
  ];
}

function adRow(random: RandomSource, id: number, of: { readonly company: number; readonly campaigns: Ownership }): DataRow {
  const { first, count } = of.campaigns.rangeOf(of.company);
  return [
    of.company, id, first + random.belowAt(streams.adCampaign, id, count), `${pick(words, random.integerAt(streams.adWord, id))} ad ${id}`,
    random.belowAt(streams.adLimit, id, 10_000),
  ];
}

/** Clicks are a second apart, so that a range of time and a range of ids select alike. Every 97th has no duration. */
function clickRow(random: RandomSource, id: number, of: { readonly company: number; readonly ads: Ownership }): DataRow {
  const { first, count } = of.ads.rangeOf(of.company);
  return [
    of.company, id, first + random.belowAt(streams.clickAd, id, count), new Date(firstClickMs + id * 1000).toISOString(),
    countryAt(random, streams.clickCountry, id), `https://site-${random.belowAt(streams.clickSite, id, 5000)}.example/page`,
    decimal(random.belowAt(streams.clickCost, id, 50_000), 4), id % 97 === 0 ? null : random.belowAt(streams.clickDuration, id, 60_000),
  ];
}

/** The square of a uniform number prefers the front of the list: some countries are much commoner than others. */
function countryAt(random: RandomSource, stream: number, id: number): string {
  const index = Math.floor(random.uniformAt(stream, id) ** 2 * countries.length);
  return String(countries[index]?.[0] ?? 'US');
}

function pick<T>(list: readonly [T, ...T[]], integer: number): T {
  return list[integer % list.length] ?? list[0];
}

function decimal(units: number, scale: number): string {
  const digits = String(units).padStart(scale + 1, '0');
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
