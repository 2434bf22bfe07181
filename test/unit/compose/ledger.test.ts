import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { generateKeyFile } from '../../../src/adapters/keys/pem-signer.ts';
import { actorName, openKey, readTrust, type KeyName } from '../../../src/compose/ledger.ts';
import { loadConfig, type LoadedConfig } from '../../../src/config/load.ts';
import { runHere } from '../../support/in-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

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

describe('a key', () => {
  const names: readonly KeyName[] = ['ingest', 'publisher', 'approver'];
  let loaded: LoadedConfig;
  /** Opens the key of one name from the file of another. */
  const open = async (name: KeyName, file: string) => {
    const keys = { ...loaded.config.keys, [name]: file };
    return openKey({ ...loaded, config: { ...loaded.config, keys } }, await readTrust(loaded), name);
  };

  beforeEach(async () => {
    const folder = await temporaryFolder();
    await runHere(folder, 'init', '.', '--files', 'a.ndjson');
    await runHere(folder, 'keys', 'generate', 'keys/stranger.pem');
    loaded = await loadConfig(join(folder, 'headgate.yaml'), {});
  });

  it('needs the passphrase of the configuration only where it is encrypted', async () => {
    await generateKeyFile(join(loaded.folder, 'keys/locked.pem'), 'correct horse');
    const text = `${await readFile(loaded.path, 'utf8')}\nkeys: { approver: keys/locked.pem, passphrase: "\${SECRET}" }\n`;
    await writeFile(loaded.path, text.replace(/^keys:\n(?: .*\n)+/m, ''));
    const without = await loadConfig(loaded.path, {});
    const trust = await readTrust(without);
    expect((await openKey(without, trust, 'publisher')).keyId).toMatch(/^SHA256:/);
    await expect(openKey(without, trust, 'approver')).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringMatching(
        /it is encrypted and no passphrase is set\n {2}\/keys\/passphrase: environment variable "SECRET" is not set$/,
      ) as string,
    });
    expect((await runHere(loaded.folder, 'status')).code).toBe(0);
  });

  it.each(names)(
    'is refused at its opening unless trust has it for the role that it is to sign in: %s',
    async (name) => {
      for (const file of names) {
        const opening = open(name, `keys/${file}.pem`);
        if (file === name) expect((await opening).keyId).toMatch(/^SHA256:/);
        else
          await expect(opening).rejects.toMatchObject({
            name: 'ConfigError',
            code: 'TRUST_INVALID',
            message: expect.stringContaining(`as keys.${name} with key "${file}": its role is ${file}`) as string,
          });
      }
      await expect(open(name, 'keys/stranger.pem')).rejects.toMatchObject({
        code: 'TRUST_INVALID',
        message: expect.stringMatching(/the trust file does not name it, wanted .* \(mend: /) as string,
      });
    },
  );

  it('that is not there is told as that, with the way to another', async () => {
    await rm(join(loaded.folder, 'keys/ingest.pem'));
    await expect(open('ingest', 'keys/ingest.pem')).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringMatching(
        /it does not exist \(mend: copy it here, or make one with headgate keys generate/,
      ) as string,
    });
    await expect(open('ingest', 'keys')).rejects.toMatchObject({ code: 'KEY_INVALID' });
  });
});
