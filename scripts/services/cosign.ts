import { join } from 'node:path';
import { runStep } from './command.ts';
import { installedProgram } from './installed-program.ts';
import { GO } from './toolchain.ts';

/** Version of cosign, the stock verifier that must accept our bundles. */
export const COSIGN_VERSION = '3.1.3';

/** cosign, built by Go once and kept. */
export const cosign = installedProgram({
  name: 'cosign',
  variable: 'HEADGATE_COSIGN',
  installation: { name: 'cosign', version: COSIGN_VERSION, cost: 'about 6 min' },
  toolsToInstall: [GO],
  path: (folder) => join(folder, 'cosign'),
  async install(context, folder, logFile) {
    const source = `github.com/sigstore/cosign/v3/cmd/cosign@v${COSIGN_VERSION}`;
    // Two compilers at once: on a small machine more of them would only take memory from the tests beside them.
    await runStep('build cosign', 'go', ['install', '-p=2', source], {
      environment: { ...context.environment, GOBIN: folder },
      logFile,
      background: true,
      signal: context.signal,
    });
  },
});
