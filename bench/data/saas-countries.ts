import type { DataRow } from './copy-text.ts';

/** Code, name, continent: rows of the reference table. */
export const countries: readonly DataRow[] = [
  ['AR', 'Argentina', 'South America'],
  ['AU', 'Australia', 'Oceania'],
  ['BR', 'Brazil', 'South America'],
  ['CA', 'Canada', 'North America'],
  ['CL', 'Chile', 'South America'],
  ['CN', 'China', 'Asia'],
  ['DE', 'Germany', 'Europe'],
  ['EG', 'Egypt', 'Africa'],
  ['ES', 'Spain', 'Europe'],
  ['FR', 'France', 'Europe'],
  ['GB', 'United Kingdom', 'Europe'],
  ['IN', 'India', 'Asia'],
  ['IT', 'Italy', 'Europe'],
  ['JP', 'Japan', 'Asia'],
  ['KE', 'Kenya', 'Africa'],
  ['KR', 'South Korea', 'Asia'],
  ['MX', 'Mexico', 'North America'],
  ['NG', 'Nigeria', 'Africa'],
  ['NZ', 'New Zealand', 'Oceania'],
  ['PL', 'Poland', 'Europe'],
  ['SE', 'Sweden', 'Europe'],
  ['TR', 'Türkiye', 'Asia'],
  ['US', 'United States', 'North America'],
  ['ZA', 'South Africa', 'Africa'],
];
