import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { DiskStore } from '../../../../src/adapters/disk/store.ts';
import { openPemSigner } from '../../../../src/adapters/keys/pem-signer.ts';
import { systemClock } from '../../../../src/adapters/system/clock.ts';
import { TrustRoot } from '../../../../src/ledger/trust.ts';
import { openLedger } from '../../../../src/respond/ledger-context.ts';
import { runHere } from '../../../support/in-process.ts';
import { never } from '../../../support/ledger.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

interface Line {
  readonly name: string;
  readonly ok: boolean;
  readonly status: string;
  readonly detail: string;
}

describe('headgate doctor', () => {
  let folder: string;
  const check = async (name: string): Promise<Line & { readonly code: number }> => {
    const { code, stdout } = await runHere(folder, 'doctor', '--json', '--config', join(folder, 'headgate.yaml'));
    const { checks } = JSON.parse(stdout) as { checks: Line[] };
    return { code, ...checks.find((line) => line.name === name)! };
  };
  const approver = (): string => join(folder, 'keys', 'approver.pem');
  /** An entry of someone whose clock runs ahead of ours. */
  const actAhead = async (ms: number): Promise<void> => {
    await using store = await DiskStore.open(join(folder, 'store'));
    const path = join(folder, 'trust.json');
    const trust = TrustRoot.parse(await readFile(path, 'utf8'), path);
    const clock = { ...systemClock, now: () => systemClock.now() + ms };
    const { control } = openLedger(store, trust, clock);
    const act = { kind: 'hold', by: 'Ada', ref: 'main', reason: 'wait' } as const;
    await control.append(await openPemSigner(approver(), undefined), () => act, never);
  };

  beforeEach(async () => {
    folder = await temporaryFolder();
    await writeFile(join(folder, 'a.ndjson'), '{"id":1}\n');
    expect((await runHere(folder, 'init', '.', '--files', 'a.ndjson', '--pipeline', 'shop')).code).toBe(0);
  });

  it('passes a machine that has no approver key, as servers should not', async () => {
    expect(await check('approver')).toMatchObject({ code: 0, status: 'ok', detail: expect.stringMatching(/may sign/) });
    await rm(approver());
    expect(await check('approver')).toMatchObject({
      code: 0,
      ok: true,
      status: 'ok',
      detail: expect.stringMatching(/^not here \(fine on servers/),
    });
    const { stdout } = await runHere(folder, 'doctor');
    expect(stdout).toMatch(/^ok {4}approver {2}not here/m);
  });

  it('fails on an approver key that is there and cannot be used, and on another key that is missing', async () => {
    await writeFile(approver(), 'no key');
    expect(await check('approver')).toMatchObject({ code: 78, ok: false, status: 'fail' });
    await rm(approver());
    await rm(join(folder, 'keys', 'publisher.pem'));
    expect(await check('publisher')).toMatchObject({ code: 78, ok: false, status: 'fail' });
  });

  it('warns of a clock that is more than a minute behind the newest entry', async () => {
    await actAhead(30_000);
    expect(await check('clock')).toMatchObject({ code: 0, status: 'ok' });
    await actAhead(600_000);
    expect(await check('clock')).toMatchObject({
      code: 0,
      ok: true,
      status: 'warn',
      detail: expect.stringMatching(/(599|600) s behind the newest entry \(mend: .*Ada/),
    });
    expect((await runHere(folder, 'doctor')).stdout).toMatch(/^WARN {2}clock/m);
  });
});
