import { hostname, userInfo } from 'node:os';

import { describe, expect, it, vi } from 'vitest';

import { actorName } from '../../../src/compose/ledger.ts';

vi.mock('node:os', async (load) => {
  const real = await load<typeof import('node:os')>();
  return { ...real, userInfo: vi.fn<typeof real.userInfo>(real.userInfo) };
});

describe('the author of entries', () => {
  it('is who runs the command, and where', () => {
    expect(actorName()).toBe(`${userInfo().username}@${hostname()}`);
  });

  it('is named by number where the user has no name, as in a container', () => {
    vi.mocked(userInfo).mockImplementationOnce(() => {
      throw new Error('A system error occurred: uv_os_get_passwd returned ENOENT (no such file or directory)');
    });
    expect(actorName()).toBe(`uid-${process.getuid?.()}@${hostname()}`);
  });
});
