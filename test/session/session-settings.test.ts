import { expect, test } from 'vitest';
import { SessionSettings } from '../../src/session/session-settings.ts';

test('another user begins without the role that was set before', () => {
  const settings = new SessionSettings();
  settings.set({ name: 'role', text: 'SET ROLE a' });
  settings.set({ name: 'datestyle', text: 'SET datestyle TO ISO' });
  settings.set({ name: 'session_authorization', text: 'RESET SESSION AUTHORIZATION' });
  expect(settings.texts).toEqual(['SET datestyle TO ISO', 'RESET SESSION AUTHORIZATION']);
  settings.set({ name: 'role', text: 'SET ROLE b' });
  expect(settings.texts.at(-1)).toBe('SET ROLE b');
});

test('what a session has begun with is what RESET comes back to', () => {
  const settings = new SessionSettings();
  settings.set({ name: 'datestyle', text: `SET SESSION "datestyle" TO 'German'` });
  settings.beginsWithThese();
  settings.set({ name: 'datestyle', text: 'SET datestyle TO ISO' });
  settings.set({ name: 'work_mem', text: 'SET work_mem TO 4096' });
  expect(settings.resetting('RESET datestyle', { name: 'datestyle', local: false })).toBe(`SET SESSION "datestyle" TO 'German'`);
  expect(settings.resetting('SET LOCAL datestyle TO DEFAULT', { name: 'datestyle', local: true })).toBe(`SET LOCAL "datestyle" TO 'German'`);
  expect(settings.resetting('RESET work_mem', { name: 'work_mem', local: false })).toBe('RESET work_mem');
  expect(settings.resetting('RESET ALL', { name: undefined, local: false })).toBe(`RESET ALL;\nSET SESSION "datestyle" TO 'German'`);
  settings.clear();
  expect(settings.texts).toEqual([`SET SESSION "datestyle" TO 'German'`]);
});
