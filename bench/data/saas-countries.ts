import type { DataRow } from './copy-text.ts';

/** Code, name, continent: rows of the reference table, those with most customers first. */
export const countries: readonly DataRow[] = [
  ['US', 'United States', 'North America'],
  ['CN', 'China', 'Asia'],
  ['IN', 'India', 'Asia'],
  ['DE', 'Germany', 'Europe'],
  ['GB', 'United Kingdom', 'Europe'],
  ['JP', 'Japan', 'Asia'],
  ['BR', 'Brazil', 'South America'],
  ['FR', 'France', 'Europe'],
  ['CA', 'Canada', 'North America'],
  ['MX', 'Mexico', 'North America'],
  ['AU', 'Australia', 'Oceania'],
  ['KR', 'South Korea', 'Asia'],
  ['ES', 'Spain', 'Europe'],
  ['IT', 'Italy', 'Europe'],
  ['NG', 'Nigeria', 'Africa'],
  ['ZA', 'South Africa', 'Africa'],
  ['PL', 'Poland', 'Europe'],
  ['TR', 'Türkiye', 'Asia'],
  ['AR', 'Argentina', 'South America'],
  ['SE', 'Sweden', 'Europe'],
  ['EG', 'Egypt', 'Africa'],
  ['KE', 'Kenya', 'Africa'],
  ['CL', 'Chile', 'South America'],
  ['NZ', 'New Zealand', 'Oceania'],
];
