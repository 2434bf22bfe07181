import { parseArgs } from 'node:util';
import { createContext } from './services/context.ts';
import { describeAddress, servicesStatus, startServices, stopServices } from './services/lifecycle.ts';

const USAGE = `Usage: npm run services -- start [--yes] | stop | status

start   finds or starts Kafka, an S3 server and Redis, and installs the programs the tests call, all below .services/
        (--yes: as root, install missing system packages without asking)
stop    stops the servers that start brought up; what was installed stays
status  says what runs where
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { yes: { type: 'boolean', default: false } },
  });
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupt.abort(new Error('Interrupted')));
  const context = createContext({ yes: values.yes, report: print, signal: interrupt.signal });
  switch (positionals.join(' ')) {
    case 'start': {
      const { addresses } = await startServices(context);
      for (const [name, address] of Object.entries(addresses)) print(`${name.padEnd(8)} ${describeAddress(address)}`);
      return 0;
    }
    case 'stop': {
      const stopped = await stopServices(context);
      print(stopped.length === 0 ? 'Nothing was running' : `Stopped ${stopped.join(', ')}`);
      return 0;
    }
    case 'status':
      for (const [name, { state, detail }] of Object.entries(await servicesStatus(context))) {
        print(`${name.padEnd(8)} ${state.padEnd(14)} ${detail}`.trimEnd());
      }
      return 0;
    default:
      process.stderr.write(USAGE);
      return 64;
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

// The SDK's notice about coming Node versions says nothing about these services.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
