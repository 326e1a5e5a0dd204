import type { TableDefinition } from './table-definition.ts';

/**
 * A multi-tenant advertising service: companies run campaigns of ads, which are clicked. Every table but the countries is
 * distributed by the company. Without foreign keys, since their triggers would be most of what COPY and INSERT cost.
 */
export const saasTables = {
  countries: {
    name: 'countries',
    columns: ['code', 'name', 'continent'],
    statements: ['CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL, continent text NOT NULL)'],
    placement: { kind: 'reference' },
  },
  companies: {
    name: 'companies',
    columns: ['id', 'name', 'country_code', 'created_at'],
    statements: ['CREATE TABLE companies (id bigint PRIMARY KEY, name text NOT NULL, country_code text NOT NULL, created_at timestamptz NOT NULL)'],
    placement: { kind: 'distributed', column: 'id' },
  },
  campaigns: {
    name: 'campaigns',
    columns: ['company_id', 'id', 'name', 'cost_model', 'state', 'monthly_budget'],
    statements: [
      `CREATE TABLE campaigns (company_id bigint NOT NULL, id bigint NOT NULL, name text NOT NULL, cost_model text NOT NULL,
         state text NOT NULL, monthly_budget numeric(12,2), PRIMARY KEY (company_id, id))`,
    ],
    placement: { kind: 'distributed', column: 'company_id', colocateWith: 'companies' },
  },
  ads: {
    name: 'ads',
    columns: ['company_id', 'id', 'campaign_id', 'name', 'daily_limit'],
    statements: [
      `CREATE TABLE ads (company_id bigint NOT NULL, id bigint NOT NULL, campaign_id bigint NOT NULL, name text NOT NULL,
         daily_limit integer NOT NULL, PRIMARY KEY (company_id, id))`,
      'CREATE INDEX ads_campaign ON ads (company_id, campaign_id)',
    ],
    placement: { kind: 'distributed', column: 'company_id', colocateWith: 'companies' },
  },
  clicks: {
    name: 'clicks',
    columns: ['company_id', 'id', 'ad_id', 'clicked_at', 'country_code', 'site_url', 'cost', 'duration_ms'],
    statements: [
      `CREATE TABLE clicks (company_id bigint NOT NULL, id bigint NOT NULL, ad_id bigint NOT NULL, clicked_at timestamptz NOT NULL,
         country_code text NOT NULL, site_url text NOT NULL, cost numeric(12,4) NOT NULL, duration_ms integer,
         PRIMARY KEY (company_id, id))`,
      'CREATE INDEX clicks_id ON clicks (id)',
    ],
    placement: { kind: 'distributed', column: 'company_id', colocateWith: 'companies' },
  },
} as const satisfies Record<string, TableDefinition>;
