/*
 * Every command with its options, and the file that does its work, which is loaded only when the command is called: the help
 * needs none of it, and the libraries behind some take longer to load than others to run. Long, for it is one list.
 */
import type { ApproveOptions, LearnOptions } from './commands/baseline.ts';
import type { InitOptions } from './commands/init-answers.ts';
import type { ActOptions } from './commands/refs.ts';
import type { Parts } from './commands/run.ts';
import type { PinOptions } from './commands/schema.ts';
import type { Register } from './register.ts';

/** `headgate init` and `headgate keys generate`. */
const registerInit: Register = (program, runner) => {
  program
    .command('init')
    .argument('[dir]', 'folder to set up', '.')
    .description('write a configuration, keys and a trust root; asks on a terminal, flags otherwise')
    .option('--pipeline <name>', 'name of the pipeline (default: the folder’s name)')
    .option('--keys-only', 'make keys and a trust root only, for a configuration that is written elsewhere')
    .option('--files <path...>', 'read these files, folders or (quoted) globs')
    .option('--csv', 'the files are CSV (default: newline-delimited JSON)')
    .option('--kafka <broker...>', 'read Kafka through these brokers (host:port; the port is 9092 if none is given)')
    .option('--topics <name...>', 'topics to read, or the name of the stream that the files make up')
    .option('--store <url>', 'folder or s3://bucket/prefix (default: store in the folder that is set up)')
    .option('--label <column>', 'column that a model learns to predict')
    .option('--source <column>', 'column that says who sent a record')
    .action((dir: string, options: InitOptions) =>
      runner()(async (context) => (await import('./commands/init.ts')).init(context, dir, options)),
    );
  const keys = program.command('keys').description('signing keys');
  keys
    .command('generate')
    .argument('<file>', 'private key file to write')
    .description('make a P-256 key; prints the entry for the trust file')
    .option('--roles <role...>', 'roles for the printed entry', ['ingest'])
    .option('--passphrase-env <name>', 'environment variable that holds a passphrase to encrypt the key with')
    .action((file: string, options: { roles: string[]; passphraseEnv?: string }) =>
      runner()(async (context) => (await import('./commands/init.ts')).generate(context, file, options)),
    );
};

/** `headgate demo`. */
const registerDemo: Register = (program, runner) => {
  program
    .command('demo')
    .argument('[dir]', 'folder to work in; must not exist yet', 'headgate-demo')
    .description(
      'the tour: real flights stream through, poison is injected and caught, an incident is handled; about a minute, no network',
    )
    .action((dir: string) => runner()(async (context) => (await import('./commands/demo.ts')).demo(context, dir)));
};

/** `headgate doctor`: one line a check, each failure with its mend. */
const registerDoctor: Register = (program, runner) => {
  program
    .command('doctor')
    .description('check configuration, keys, state folder, store, clock, topics, source and queue')
    .option(
      '--write',
      'check what run needs, too, on a machine that has no private key (default: only what reading needs)',
    )
    .action((options: { write?: boolean }) =>
      runner()(async (context) => (await import('./commands/doctor.ts')).doctor(context, options.write ?? false)),
    );
};

/** `headgate run`, `ingest`, `publish`, `worker`: the long-running processes. */
const registerRun: Register = (program, runner) => {
  const processes: readonly [name: string, parts: Parts, description: string][] = [
    ['run', { ingest: true, publish: true, alerts: true }, 'read, judge, commit, publish and alert in one process'],
    ['ingest', { ingest: true, publish: false, alerts: false }, 'read, judge and commit'],
    ['publish', { ingest: false, publish: true, alerts: false }, 'turn clean batches into snapshots'],
    ['worker', { ingest: false, publish: false, alerts: true }, 'send alerts'],
  ];
  for (const [name, parts, description] of processes) {
    program
      .command(name)
      .description(description)
      .option('--once', 'do what is there now, then stop; gives up after 5 minutes in which store or source fail')
      .action(({ once = false }: { once?: boolean }) =>
        runner()(async (context) => (await import('./commands/run.ts')).run(context, parts, once)),
      );
  }
};

/** `headgate status`: where the pipeline stands. */
const registerStatus: Register = (program, runner) => {
  program
    .command('status')
    .description(
      'what is published, held and in force, and which partitions have halted: by a rule, as the log says; otherwise, as the process that stopped has noted',
    )
    .action(() => runner()(async (context) => (await import('./commands/status.ts')).status(context)));
};

/** In the description, so that the reference has the examples too. */
const SHOW_DESCRIPTION = `one snapshot, or one entry of the control log

Examples:
  headgate show main      the snapshot that the ref "main" names now
  headgate show 3f9a2c    the snapshot whose id begins with these digits
  headgate show 0         control entry 0; headgate log shows the numbers

Where an id could mean several, the ref is shown, else the control entry.`;

/** `headgate log` and `show`: looking without touching. */
const registerInspect: Register = (program, runner) => {
  program
    .command('log')
    .argument('[log]', 'a partition log, CLUSTER/TOPIC/PARTITION; without it the control log')
    .description('what was decided, or what was read from one partition, newest first')
    .option('-n, --limit <count>', 'entries to show', '20')
    .action((log: string | undefined, { limit }: { limit: string }) =>
      runner()(async (context) => (await import('./commands/inspect.ts')).showLog(context, log, limit)),
    );
  program
    .command('show')
    .argument('<id>', 'name of a ref, id of a snapshot or its first digits (6 or more), or number of a control entry')
    .summary('one snapshot or control entry')
    .description(SHOW_DESCRIPTION)
    .action((id: string) => runner()(async (context) => (await import('./commands/inspect.ts')).show(context, id)));
};

/** `headgate mode`. */
const registerMode: Register = (program, runner) => {
  program
    .command('mode')
    .argument('[mode]', 'observe or enforce; without it the current one is printed')
    .description(
      'observe publishes everything that is read from then on and counts what would have been held; enforce holds it; rules with the action halt stop their partition in both',
    )
    .action((mode: string | undefined) =>
      runner()(async (context) => (await import('./commands/mode.ts')).changeMode(context, mode)),
    );
};

/** `headgate schema …`. */
const registerSchema: Register = (program, runner) => {
  const schema = program.command('schema').description('the columns that records are read by');
  schema
    .command('show')
    .description('the pinned schema of each topic, and what the configuration says differently')
    .option('--topic <name>', 'topic (default: all)')
    .action(({ topic }: { topic?: string }) =>
      runner()(async (context) => (await import('./commands/schema.ts')).showSchemas(context, topic)),
    );
  schema
    .command('pin')
    .description(
      'pin the schema of the configuration, signed by the approver; one that is replaced takes the topic’s baseline out of force',
    )
    .option('--topic <name>', 'topic (needed if there are several)')
    .requiredOption('--reason <text>', 'why; it is signed')
    .action((options: PinOptions) =>
      runner()(async (context) => (await import('./commands/schema.ts')).pinConfigured(context, options)),
    );
};

/** `headgate baseline …`. */
const registerBaseline: Register = (program, runner) => {
  const baseline = program.command('baseline').description('what batches are compared with');
  baseline
    .command('learn')
    .description('learn a candidate from accepted data; judging by it starts with approve')
    .option(
      '--held',
      'from the batches that are held for want of a baseline (default; may be joined with the next two)',
    )
    .option('--published', 'from the published batches, but for suspect ones that observe mode let through')
    .option(
      '--with-suspect',
      'with the suspect ones of what is named, else of the published: after a change that has come to stay',
    )
    .option('--files <path...>', 'from files, folders, globs or s3://bucket/key, in the format of the source')
    .option('--topic <name>', 'topic (needed if the source has several)')
    .option('--reason <text>', 'why; it is signed', 'learned by hand')
    .action((options: LearnOptions) =>
      runner()(async (context) => (await import('./commands/baseline.ts')).learnFrom(context, options)),
    );
  baseline
    .command('approve')
    .argument('[baseline]', 'digest or its first digits (default: the newest candidate)')
    .description('put a learned baseline in force')
    .option('--topic <name>', 'topic (needed if the source has several)')
    .option('--fewer', 'also one of fewer than 8 batches in the place of one that knows more')
    .option('--reason <text>', 'why; it is signed', 'approved by hand')
    .action((id: string | undefined, options: ApproveOptions) =>
      runner()(async (context) => (await import('./commands/baseline.ts')).approveOne(context, id, options)),
    );
  baseline
    .command('show')
    .argument('[baseline]', 'digest (default: the one in force)')
    .description('what a baseline says of each column')
    .option('--topic <name>', 'topic (needed if the source has several)')
    .action((id: string | undefined, { topic }: { topic?: string }) =>
      runner()(async (context) => (await import('./commands/baseline.ts')).showBaseline(context, id, topic)),
    );
};

/** `headgate quarantine …`. */
const registerQuarantine: Register = (program, runner) => {
  const quarantine = program.command('quarantine').description('batches that are held back');
  quarantine
    .command('list')
    .description('batches that are held back, and why')
    .option('--published', 'instead, batches of the dataset that were not judged clean: observed, or released')
    .option('--ref <name>', 'ref (default: the published one)')
    .option('-n, --limit <count>', 'batches to show; --json has all, reasons only for these', '50')
    .action(({ ref, limit, published }: { ref?: string; limit: string; published?: boolean }) =>
      runner()(async (context) =>
        published === true
          ? (await import('./commands/quarantine-published.ts')).listPublished(context, ref, limit)
          : (await import('./commands/quarantine.ts')).list(context, ref, limit),
      ),
    );
  quarantine
    .command('show')
    .argument('<batch>', 'digest or its first digits, or LOG@OFFSET')
    .description('one batch: its verdict, its reasons, its evidence')
    .option('--ref <name>', 'ref (default: the published one)')
    .action((batch: string, { ref }: { ref?: string }) =>
      runner()(async (context) => (await import('./commands/quarantine.ts')).show(context, batch, ref)),
    );
  for (const [name, outcome, description] of [
    ['release', 'released', 'let a held batch into the dataset'],
    ['condemn', 'condemned', 'keep a batch out of the dataset for good'],
  ] as const) {
    quarantine
      .command(name)
      .argument('<batch...>', 'digests or their first digits, or LOG@OFFSET')
      .description(`${description}; signed, and carried out by the publisher`)
      .requiredOption('--reason <text>', 'why; it is signed')
      .option('--ref <name>', 'ref (default: the published one)')
      .action((batches: string[], options: { reason: string; ref?: string }) =>
        runner()(async (context) =>
          (await import('./commands/quarantine.ts')).decideAll(context, batches, outcome, options),
        ),
      );
  }
};

/** `headgate hold`, `resume`, `rollback`, `diff`. */
const registerRefs: Register = (program, runner) => {
  const act = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .requiredOption('--reason <text>', 'why; it is signed')
      .option('--ref <name>', 'ref to act on (default: the published one)');
  act('hold', 'stop a ref: nothing is published until resume').action((options: ActOptions) =>
    runner()(async (context) => (await import('./commands/refs.ts')).holdRef(context, options)),
  );
  act('resume', 'let a ref, and partitions that a rule has halted, go on').action((options: ActOptions) =>
    runner()(async (context) => (await import('./commands/refs.ts')).resumeRef(context, options)),
  );
  act('rollback', 'point a ref at an older snapshot and hold it there; metadata only, reversible')
    .option(
      '--to <target>',
      'last-clean (the newest snapshot without a condemned batch), a snapshot, or an ISO 8601 time',
      'last-clean',
    )
    .action((options: ActOptions & { to: string }) =>
      runner()(async (context) => (await import('./commands/refs.ts')).rollbackRef(context, options)),
    );
  program
    .command('diff')
    .argument('<a>', 'ref or snapshot')
    .argument('<b>', 'ref or snapshot')
    .description('what two snapshots have apart')
    .action((a: string, b: string) =>
      runner()(async (context) => (await import('./commands/refs.ts')).diff(context, a, b)),
    );
};

/** `headgate verify`. */
const registerVerify: Register = (program, runner) => {
  program
    .command('verify')
    .description('check signatures, chains, roots and objects of the whole pipeline; exit 2 and names what is wrong')
    .option('--deep', 'also decode every file and recompute every record’s leaf')
    .action(({ deep = false }: { deep?: boolean }) =>
      runner()(async (context) => (await import('./commands/verify.ts')).verify(context, deep)),
    );
};

/** `headgate gate` and `headgate pull`: what a training job calls. */
const registerGate: Register = (program, runner) => {
  program
    .command('gate')
    .argument('[ref]', 'ref or snapshot to ask for', 'main')
    .description(
      'exit 0 only if the ref may be trained on; a snapshot that it named earlier, too, unless a rollback has left it behind',
    )
    .option('--max-age <duration>', 'refuse (exit 3) when the newest control entry is older, e.g. 24h')
    .action((ref: string, { maxAge }: { maxAge?: string }) =>
      runner()(async (context) => (await import('./commands/gate.ts')).askGate(context, ref, maxAge)),
    );
  program
    .command('pull')
    .argument('<ref>', 'ref or snapshot')
    .argument('[dir]', 'target folder; not needed with --list')
    .description(
      'download the snapshot that the gate lets pass; no file is visible before all are verified, and DIR/.headgate/complete.json is there only while DIR holds all of it; a snapshot given by its id is gated like a ref',
    )
    .option('--list', 'print address, version and SHA-256 of each file instead, for reading in place')
    .option('--ungated', 'do not ask the gate first: for looking into what must not be trained on')
    .action((ref: string, dir: string | undefined, options: { list?: boolean; ungated?: boolean }) =>
      runner()(async (context) => (await import('./commands/gate.ts')).pullRef(context, ref, dir, options)),
    );
};

/** All of them, in the order of the help. */
export const GROUPS: readonly Register[] = [
  registerInit,
  registerDemo,
  registerDoctor,
  registerRun,
  registerStatus,
  registerInspect,
  registerMode,
  registerSchema,
  registerBaseline,
  registerQuarantine,
  registerRefs,
  registerVerify,
  registerGate,
];
